//! The calls of the interface, as the ROM's code passes them on: `push NUMBER; int HYPERCALL`.
//!
//! Where a call's arguments and results are is read from the call table. A call does what the instruction in its
//! place does, by the same function; only what the interface adds is here and in the modules below. What a call
//! is asked to read or write, the kernel could read or write itself: its pointers are followed with the rights of
//! its ring, and nothing is done if that faults. Source: facts sheet, sections 4.1, 5 and 8.

mod descriptor;
mod mmu;
#[cfg(test)]
mod tests;
mod time;

use paravirt_vmi_abi::flags::{InterruptMask, IoplMask, PageUpdateFlags};
use paravirt_vmi_abi::{Call, Location};

use crate::decode::Segment;
use crate::fault::Fault;
use crate::guest::Guest;
use crate::host::Host;
use crate::layout::{HYPERCALL, HYPERCALL_INIT, HYPERCALL_IRET};
use crate::port::StringPort;
use crate::stop::Stop;
use crate::vcpu::Mode;

/// Where the words of a call lie on the stack: the number, the return address, and then the stack words of the
/// convention, of which the first has number 1.
const WORD: u32 = 4;
const RETURN_ADDRESS: u32 = WORD;

/// Bytes of `int HYPERCALL`.
const HYPERCALL_SIZE: u32 = 2;

/// The port whose cycle on the bus is IODelay's delay.
const DELAY: u16 = 0x80;

/// Arguments and results in the order of the call table; those that a call does not have are 0.
type Arguments = [u32; 5];
type Results = [u32; 4];

const NONE: Results = [0; 4];

/// A result of one word.
const fn word(value: u32) -> Results {
    [value, 0, 0, 0]
}

/// A result of two words, the low one first.
const fn pair(value: u64) -> Results {
    [value as u32, (value >> 32) as u32, 0, 0]
}

/// A number of two words.
const fn long(low: u32, high: u32) -> u64 {
    (high as u64) << 32 | low as u64
}

/// #GP that names the hypercall's gate: a number that is no call.
const NO_CALL: Fault = Fault::general_protection(HYPERCALL as u32 * 8 + 2);

impl<H: Host> Guest<H> {
    /// Answers `int HYPERCALL` of the kernel, with `number` on top of the stack. EIP is behind it.
    ///
    /// Before vmi_init the vector is the guest's own, but for that call.
    ///
    /// # Errors
    ///
    /// The exception that the guest gets; nothing was done.
    pub fn hypercall(&mut self, number: u32) -> Result<(), Fault> {
        if self.vcpu.mode == Mode::Hardware && number != HYPERCALL_INIT {
            return self.software_interrupt(HYPERCALL);
        }
        self.counters.private_call(number);
        match number {
            HYPERCALL_INIT => {
                self.vmi_init();
                Ok(())
            }
            // The frame lies above the number.
            HYPERCALL_IRET => self.interrupt_return(WORD),
            _ => match Call::from_number(number) {
                Some(call) => self.call(call),
                None => Err(NO_CALL),
            },
        }
    }

    /// vmi_init: from now on the guest knows its ring. Asked again it fails. Source: facts sheet, section 5.6.
    fn vmi_init(&mut self) {
        const FAILURE: u32 = !0;
        self.vcpu.frame.eax = match self.vcpu.mode {
            Mode::Hardware => 0,
            Mode::Paravirtual => FAILURE,
        };
        self.vcpu.mode = Mode::Paravirtual;
    }

    /// Makes a call, and puts its results where they belong.
    fn call(&mut self, call: Call) -> Result<(), Fault> {
        self.counters.call(call);
        let arguments = self.arguments(call)?;
        let results = self.carry_out(call, arguments)?;
        let frame = &mut self.vcpu.frame;
        for (result, value) in call.info().results.iter().zip(results) {
            match result.location {
                Location::Eax => frame.eax = value,
                Location::Ebx => frame.ebx = value,
                Location::Ecx => frame.ecx = value,
                Location::Edx => frame.edx = value,
                Location::Esi => frame.esi = value,
                Location::Edi => frame.edi = value,
                Location::Al => frame.eax = frame.eax & !0xFF | value & 0xFF,
                Location::Ax => frame.eax = frame.eax & !0xFFFF | value & 0xFFFF,
                Location::Stack(_) | Location::Frame => {}
            }
        }
        Ok(())
    }

    /// The arguments of a call.
    fn arguments(&self, call: Call) -> Result<Arguments, Fault> {
        let frame = &self.vcpu.frame;
        let mut arguments = [0; 5];
        for (value, argument) in arguments.iter_mut().zip(call.info().arguments) {
            *value = match argument.location {
                Location::Eax => frame.eax,
                Location::Ebx => frame.ebx,
                Location::Ecx => frame.ecx,
                Location::Edx => frame.edx,
                Location::Esi => frame.esi,
                Location::Edi => frame.edi,
                Location::Al => frame.eax & 0xFF,
                Location::Ax => frame.eax & 0xFFFF,
                Location::Stack(number) => self.stack_word(RETURN_ADDRESS + WORD * u32::from(number))?,
                Location::Frame => 0,
            };
        }
        Ok(arguments)
    }

    /// Does what a call is for.
    fn carry_out(&mut self, call: Call, [a, b, c, d, e]: Arguments) -> Result<Results, Fault> {
        match call {
            // Ring 1 can ask the processor itself: there is nothing to hide.
            Call::CPUID => return Ok(self.host.cpuid(a, b)),
            Call::WRMSR => self.write_msr(a, long(b, c))?,
            Call::RDMSR => return self.read_msr(a).map(pair),
            Call::SET_GDT => self.set_gdt(a)?,
            Call::SET_LDT => self.set_ldt(a as u16)?,
            Call::SET_IDT => self.set_idt(a)?,
            Call::SET_TR => self.load_task(a as u16)?,
            Call::GET_GDT => self.store_table(a, self.vcpu.gdt)?,
            Call::GET_LDT => return Ok(word(self.vcpu.ldt.selector.into())),
            Call::GET_IDT => self.store_table(a, self.vcpu.idt)?,
            Call::GET_TR => return Ok(word(self.vcpu.task.selector.into())),
            Call::WRITE_GDT_ENTRY | Call::WRITE_LDT_ENTRY | Call::WRITE_IDT_ENTRY => {
                self.write_entry(a, b, long(c, d))?;
            }
            // The stack is read from the guest's task state segment, which the guest writes, when it is needed.
            Call::UPDATE_KERNEL_STACK => {}
            Call::SET_CR0 => self.load_cr0(a)?,
            Call::SET_CR2 => self.vcpu.cr2 = a,
            Call::SET_CR3 => self.load_cr3(a),
            Call::SET_CR4 => self.load_cr4(a)?,
            Call::GET_CR0 => return Ok(word(self.vcpu.cr0)),
            Call::GET_CR2 => return Ok(word(self.vcpu.cr2)),
            Call::GET_CR3 => return Ok(word(self.vcpu.cr3)),
            Call::GET_CR4 => return Ok(word(self.vcpu.cr4)),
            // Caches are the machine's and stay coherent.
            Call::WBINVD => {}
            Call::SET_DR if has_debug_register(a) => self.set_debug_register(a as u8, b)?,
            Call::GET_DR if has_debug_register(a) => return self.debug_register(a as u8).map(word),
            Call::SET_DR | Call::GET_DR => {}
            // As the instruction: the guest's processor has no such counter.
            Call::RDPMC => return Err(Fault::general_protection(0)),
            Call::RDTSC => return Ok(pair(self.host.cycles())),
            Call::CLTS => self.clear_task_switched(),
            // The next four the ROM does by itself as long as nothing waits.
            Call::ENABLE_INTERRUPTS => self.vcpu.interrupt_flag = true,
            Call::DISABLE_INTERRUPTS => self.vcpu.interrupt_flag = false,
            Call::GET_INTERRUPT_MASK => {
                let enabled = self.vcpu.interrupt_flag;
                return Ok(word(if enabled { InterruptMask::IF.bits() } else { 0 }));
            }
            Call::SET_INTERRUPT_MASK => self.vcpu.interrupt_flag = a & InterruptMask::IF.bits() != 0,
            Call::HALT => {
                self.vcpu.interrupt_flag = true;
                self.vcpu.halted = true;
            }
            Call::REBOOT => self.board.stop = Some(Stop::Reset),
            Call::SHUTDOWN => self.board.stop = Some(Stop::PowerOff),
            Call::SET_PXE => self.set_entry(b, &a.to_le_bytes(), c)?,
            Call::SET_PXE_LONG => self.set_entry(c, &long(a, b).to_le_bytes(), d)?,
            Call::UPDATE_PXE | Call::UPDATE_PXE_LONG => {
                self.entry_changed(PageUpdateFlags::from_bits_retain(b));
            }
            // The guest's physical memory is the machine's.
            Call::MACHINE_TO_PHYSICAL | Call::PHYSICAL_TO_MACHINE => return Ok(word(a)),
            Call::INVAL_PAGE => self.flush_page(a),
            Call::FLUSH_TLB => self.flush_all(),
            // Tables are read when they are needed and wherever they are, and nothing is ever held back.
            Call::ALLOCATE_PAGE | Call::RELEASE_PAGE | Call::SET_LINEAR_MAPPING | Call::SET_LAZY_MODE => {}
            Call::INL => return Ok(word(self.port_in(a as u16, 4))),
            Call::INB => return Ok(word(self.port_in(a as u16, 1))),
            Call::INW => return Ok(word(self.port_in(a as u16, 2))),
            Call::OUTL => self.port_out(b as u16, 4, a),
            Call::OUTB => self.port_out(b as u16, 1, a),
            Call::OUTW => self.port_out(b as u16, 2, a),
            Call::INSL | Call::OUTSL => self.string(call == Call::INSL, b, 4)?,
            Call::INSB | Call::OUTSB => self.string(call == Call::INSB, b, 1)?,
            Call::INSW | Call::OUTSW => self.string(call == Call::INSW, b, 2)?,
            Call::SET_IOPL_MASK => self.set_io_privilege(IoplMask::from_bits_retain(a).level()),
            // There is no other processor that could start.
            Call::SET_INITIAL_AP_STATE => {}
            Call::APIC_WRITE => self.write_apic_register(register(a), b),
            Call::APIC_READ => return Ok(word(self.board.apic.read(register(a)))),
            Call::IO_DELAY => self.host.port_out(DELAY, 1, 0),
            Call::GET_CYCLE_FREQUENCY => return Ok(pair(self.host.frequency())),
            Call::GET_CYCLE_COUNTER => return Ok(pair(self.cycle_counter(a))),
            Call::SET_ALARM => self.set_alarm(a, long(b, c), long(d, e)),
            Call::CANCEL_ALARM => return Ok(word(self.cancel_alarm(a).into())),
            Call::GET_WALLCLOCK_TIME => return Ok(pair(self.host.wall_clock())),
            // It never jumps: it is the time-stamp counter's.
            Call::WALLCLOCK_UPDATED => {}
            // IRET and SYSEXIT have a hypercall of their own, and of SetCallbacks nothing is known.
            _ => return Err(NO_CALL),
        }
        Ok(NONE)
    }

    /// INS or OUTS. A part of a long string is done at a time: then the ROM makes the hypercall again.
    fn string(&mut self, reads: bool, port: u32, width: u8) -> Result<(), Fault> {
        let segment = if reads { Segment::Es } else { Segment::Ds };
        let string = StringPort { port: port as u16, width, repeats: true, segment, address_size: 4 };
        let finished = if reads { self.port_in_string(string) } else { self.port_out_string(string) }?;
        if !finished {
            self.vcpu.frame.eip = self.vcpu.frame.eip.wrapping_sub(HYPERCALL_SIZE);
        }
        Ok(())
    }
}

/// Whether a call can name a debug register. Setting another one has no effect, and it reads as 0.
const fn has_debug_register(number: u32) -> bool {
    matches!(number, 0..=3 | 6 | 7)
}

/// The offset of an APIC register from its linear address, or from the offset that one known guest passes.
/// Source: facts sheet, section 0, trap 4.
const fn register(address: u32) -> u16 {
    (address & 0xFF0) as u16
}
