//! The task state segment: the stack on which the kernel is entered from ring 3, and the ports that ring 3
//! may use.
//!
//! Ports are granted by the I/O permission bitmap alone. The I/O privilege level stays 0, so that a program
//! with ports has no more influence on the interrupt flag than one without.
//!
//! # Safety
//!
//! The processor reads the segment for as long as the kernel runs; it is a static and never moves. One
//! program runs at a time, and the kernel changes the bitmap while it does not run.
#![allow(unsafe_code)]

use core::mem::offset_of;

use paravirt_vmi::descriptor::{Descriptor, TssStack};
use paravirt_vmi::user::IoPermissionBitmap;

use crate::gdt::{KERNEL_DATA, system_segment};

/// The type of an available task state segment.
const AVAILABLE: u64 = 9;

/// A task state segment without an I/O permission bitmap: the stack for the kernel's ring, and no port for
/// ring 3. Source: Intel manual, volume 3, section 8.2.1.
#[repr(C)]
pub struct TaskState {
    back_link: u32,
    esp0: u32,
    ss0: u32,
    other_registers: [u32; 22],
    trap: u16,
    io_map_base: u16,
}
const _: () = assert!(offset_of!(TaskState, io_map_base) == IoPermissionBitmap::BASE_OFFSET as usize);
const _: () = assert!(size_of::<TaskState>() == 104);

impl TaskState {
    /// A segment with the kernel's stack at `esp0`.
    pub const fn new(esp0: u32) -> Self {
        let (ss0, io_map_base) = (KERNEL_DATA as u32, IoPermissionBitmap::NONE);
        Self { back_link: 0, esp0, ss0, other_registers: [0; 22], trap: 0, io_map_base }
    }

    /// The descriptor of the segment that lies at `task`: available, for ring 0.
    pub fn descriptor(task: *const Self) -> Descriptor {
        system_segment(task as u32, size_of::<Self>() as u32 - 1, AVAILABLE)
    }
}

/// The kernel's own segment, with the bitmap.
#[repr(C, align(4096))]
struct KernelTask {
    state: TaskState,
    ports: IoPermissionBitmap,
}
const PORTS: u16 = offset_of!(KernelTask, ports) as u16;

static mut TASK: KernelTask = KernelTask {
    state: TaskState { io_map_base: PORTS, ..TaskState::new(0) },
    ports: IoPermissionBitmap::CLOSED,
};

/// The kernel's segment, as the guest crate sees it.
pub fn kernel() -> *mut TssStack {
    (&raw mut TASK).cast()
}

/// The descriptor of the kernel's segment: available, for ring 0.
pub fn descriptor() -> Descriptor {
    system_segment(kernel() as u32, IoPermissionBitmap::segment_limit(PORTS), AVAILABLE)
}

/// Sets the stack of the kernel's segment, before the task register is loaded.
///
/// # Safety
///
/// The segment is not loaded.
#[unsafe(link_section = ".boot.text")]
pub unsafe fn prepare(esp0: u32) {
    let task = &raw mut TASK;
    // SAFETY: nothing uses the segment.
    unsafe { (*task).state.esp0 = esp0 };
}

/// Changes the ports that ring 3 may use.
pub fn change_ports(change: impl FnOnce(&mut IoPermissionBitmap)) {
    let task = &raw mut TASK;
    // SAFETY: nothing else refers to the bitmap; the processor reads it only while ring 3 runs.
    change(unsafe { &mut (*task).ports });
}
