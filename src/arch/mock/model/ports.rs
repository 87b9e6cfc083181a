//! Ports, and the devices behind them.
//!
//! # Safety
//!
//! The unsafe blocks read and write the memory that INS and OUTS are told to use, whose address comes from
//! [`port`](crate::port), as that of a slice.
#![allow(unsafe_code)]

use core::cell::RefCell;
use core::ops::RangeInclusive;
use std::rc::Rc;
use std::vec::Vec;

use paravirt_vmi_abi::Call;
use paravirt_vmi_abi::flags::IoplMask;

use super::{Invocation, NOTHING, Outcome, eax, memory};
use crate::arch::mock::{Cpu, state};

/// A device behind ports.
///
/// It is part of the machine: it may [`raise`](Cpu::raise) interrupts, which are delivered when the access is over,
/// and makes no call of this crate itself.
///
/// A pair of closures is a device as well: the first reads, the second writes, as in
/// `(|_, _| 0xff, |_, _, value: u32| log(value))`. So is an [`Rc`] of a [`RefCell`] of a device, for a test that goes
/// on looking at it.
pub trait Device {
    /// What is read from `port`: the low `width` bits count. `width` is 8, 16 or 32.
    fn read(&mut self, port: u16, width: u8) -> u32;

    /// `value`, of `width` bits, is written to `port`. `width` is 8, 16 or 32.
    fn write(&mut self, port: u16, width: u8, value: u32);
}

impl<R, W> Device for (R, W)
where
    R: FnMut(u16, u8) -> u32,
    W: FnMut(u16, u8, u32),
{
    fn read(&mut self, port: u16, width: u8) -> u32 {
        (self.0)(port, width)
    }

    fn write(&mut self, port: u16, width: u8, value: u32) {
        (self.1)(port, width, value);
    }
}

impl<D: Device + ?Sized> Device for Rc<RefCell<D>> {
    fn read(&mut self, port: u16, width: u8) -> u32 {
        self.borrow_mut().read(port, width)
    }

    fn write(&mut self, port: u16, width: u8, value: u32) {
        self.borrow_mut().write(port, width, value);
    }
}

/// A device, and where it is.
struct Attached {
    ports: RangeInclusive<u16>,
    device: Rc<RefCell<dyn Device>>,
}

/// Devices, and who may use them.
#[derive(Default)]
pub(super) struct Ports {
    /// The last one that has a port is the one that answers.
    devices: Vec<Attached>,
    iopl: u8,
}

/// The device at `port`. It is used without the processor's state, which it may use itself.
fn device(port: u16) -> Option<Rc<RefCell<dyn Device>>> {
    state::with(|state| {
        let devices = &state.model.ports.devices;
        let found = devices.iter().rev().find(|attached| attached.ports.contains(&port));
        found.map(|attached| attached.device.clone())
    })
}

/// Has the device at `port` carry out what `f` asks of it; `None` if there is no device.
fn access<R>(port: u16, f: impl FnOnce(&mut dyn Device) -> R) -> Option<R> {
    device(port).map(|device| match device.try_borrow_mut() {
        Ok(mut device) => f(&mut *device),
        Err(_) => panic!("the device at port {port:#06x} uses its own ports"),
    })
}

/// Reads from a port; bits above its width do not count. Nobody drives the bus if there is no device: all bits are
/// set.
fn read(port: u16, width: u8) -> u32 {
    access(port, |device| device.read(port, width)).unwrap_or(u32::MAX)
}

/// Writes a value of `width` bits to a port.
fn write(port: u16, width: u8, value: u32) {
    access(port, |device| device.write(port, width, value));
}

/// Carries a call of [`port`](crate::port) out.
pub(super) fn perform(invocation: &Invocation<'_>) -> Outcome {
    let port = |number| invocation.word(number) as u16;
    let call = invocation.call;
    let width = match call {
        Call::INB | Call::INSB | Call::OUTB | Call::OUTSB => 8,
        Call::INW | Call::INSW | Call::OUTW | Call::OUTSW => 16,
        _ => 32,
    };
    let size = usize::from(width / 8);
    match call {
        Call::INB | Call::INW | Call::INL => return Ok(eax(read(port(0), width))),
        Call::OUTB | Call::OUTW | Call::OUTL => write(port(1), width, invocation.word(0)),
        Call::INSB | Call::INSW | Call::INSL => {
            let (to, count) = (invocation.address(0), invocation.address(2));
            for index in 0..count {
                let value = read(port(1), width).to_le_bytes();
                // SAFETY: INS is made for a slice of `count` elements of this width, which may be written.
                unsafe { memory::store(to + index * size, &value[..size]) };
            }
        }
        Call::OUTSB | Call::OUTSW | Call::OUTSL => {
            let (from, count) = (invocation.address(0), invocation.address(2));
            for index in 0..count {
                let mut value = [0; 4];
                // SAFETY: OUTS is made for a slice of `count` elements of this width.
                unsafe { memory::load(from + index * size, &mut value[..size]) };
                write(port(1), width, u32::from_le_bytes(value));
            }
        }
        Call::SET_IOPL_MASK => {
            let level = IoplMask::from_bits_retain(invocation.word(0)).level();
            state::with(|state| state.model.ports.iopl = level);
        }
        // IODelay takes time and does nothing.
        _ => {}
    }
    Ok(NOTHING)
}

impl Cpu {
    /// Connects a device to `ports`, in place of any other that was there.
    ///
    /// A port without a device reads as all ones, and nothing comes of a write, as on an ISA bus. An access that is
    /// wider than one port goes to the device at the first.
    ///
    /// ```
    /// use std::{cell::RefCell, rc::Rc};
    /// use paravirt_vmi::{mock, port};
    ///
    /// /// The CMOS memory: an index at port 70, what it selects at port 71.
    /// struct Cmos { index: u8, cells: [u8; 128] }
    ///
    /// impl mock::Device for Cmos {
    ///     fn read(&mut self, port: u16, _width: u8) -> u32 {
    ///         if port == 0x71 { self.cells[usize::from(self.index)].into() } else { 0xff }
    ///     }
    ///     fn write(&mut self, port: u16, _width: u8, value: u32) {
    ///         match port {
    ///             0x70 => self.index = value as u8 & 0x7f,
    ///             _ => self.cells[usize::from(self.index)] = value as u8,
    ///         }
    ///     }
    /// }
    ///
    /// mock::run(|cpu| {
    ///     let cmos = Rc::new(RefCell::new(Cmos { index: 0, cells: [0x20; 128] }));
    ///     cpu.attach(0x70..=0x71, cmos.clone());
    ///     // SAFETY: the device is the one above.
    ///     let cell = unsafe { port::outb(0x70, 0x32); port::inb(0x71) };
    ///     assert_eq!((cell, cmos.borrow().index), (0x20, 0x32));
    /// });
    /// ```
    pub fn attach(self, ports: RangeInclusive<u16>, device: impl Device + 'static) {
        let device = Rc::new(RefCell::new(device));
        state::with(|state| state.model.ports.devices.push(Attached { ports, device }));
    }

    /// The I/O privilege level, 0 to 3, as [`set_iopl`](crate::port::set_iopl) has set it; 0 at first.
    pub fn iopl(self) -> u8 {
        state::with(|state| state.model.ports.iopl)
    }
}
