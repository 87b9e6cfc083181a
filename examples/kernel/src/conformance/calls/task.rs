//! The task register, and the stack on which ring 3 enters the kernel.
//!
//! # Safety
//!
//! The other task state segment names a stack of its own, which is used only while a program in ring 3
//! runs.
#![allow(unsafe_code)]

use paravirt_vmi::abi::Call;
use paravirt_vmi::descriptor::{self, Selector};

use super::super::outside;
use super::check;
use super::descriptor::put;
use crate::gdt::{self, FIRST_SPARE, KERNEL_DATA, TASK_STATE};
use crate::raw;
use crate::report::{Check, Report};
use crate::task::{self, TaskState};
use crate::user::instruction::Instruction;
use crate::user::{self, Entry};

/// The entry of the other task state segment.
const OTHER: u16 = FIRST_SPARE + 5;
static mut OTHER_TASK: TaskState = TaskState::new(0);

const STACK_SIZE: u32 = 8192;
#[repr(C, align(16))]
struct Stack([u8; STACK_SIZE as usize]);
static mut STACK: Stack = Stack([0; STACK_SIZE as usize]);

pub fn run(report: &mut Report) {
    check(report, Call::SET_TR, set_tr);
    check(report, Call::GET_TR, |check| {
        check.equal("task register", descriptor::tr(), outside::tr());
        check.equal("task register", descriptor::tr(), Selector(TASK_STATE));
    });
    check(report, Call::UPDATE_KERNEL_STACK, update_kernel_stack);
}

/// Makes the entry of a task state segment available again, and loads it.
fn back_to_the_kernels() {
    make_available();
    // SAFETY: this is the kernel's segment.
    unsafe { raw::set_tr(TASK_STATE.into()) };
}

/// Marks the kernel's task state segment as not busy, as the task register wants it.
pub fn make_available() {
    put(TASK_STATE / 8, task::descriptor());
}

fn stack_end() -> u32 {
    &raw const STACK as u32 + STACK_SIZE
}

/// Whether ring 3 now enters the kernel on the stack that ends at `end`.
fn enters_on(check: &mut Check, what: &str, end: u32) {
    user::run(Entry::Iret, Instruction::Popf.program());
    let at = user::kernel_entered_at();
    check.equal(what, end - STACK_SIZE <= at && at < end, true);
}

/// The segment becomes busy, and its stack is used.
fn set_tr(check: &mut Check) {
    let task = &raw mut OTHER_TASK;
    // SAFETY: nothing uses the segment.
    unsafe { *task = TaskState::new(stack_end()) };
    put(OTHER, TaskState::descriptor(task));
    let rights = || raw::rights(gdt::selector(OTHER).0).map(|rights| rights >> 8 & 0xF);
    check.equal("type before", rights(), Some(9));
    // SAFETY: the segment is available and sound.
    unsafe { descriptor::set_tr(gdt::selector(OTHER)) };
    check.equal("task register", outside::tr(), gdt::selector(OTHER));
    check.equal("type after", rights(), Some(11));
    enters_on(check, "the segment's stack is used", stack_end());
    back_to_the_kernels();
    enters_on(check, "the kernel's stack is used", gdt::interrupt_stack());
}

fn update_kernel_stack(check: &mut Check) {
    let (task, data) = (task::kernel(), Selector(KERNEL_DATA).in_kernel_ring());
    for (what, end) in [("other stack", stack_end()), ("kernel's stack", gdt::interrupt_stack())] {
        // SAFETY: this is the segment that is loaded, and a stack.
        unsafe { descriptor::update_kernel_stack(task, data, end) };
        // SAFETY: the segment is not written meanwhile.
        let found = unsafe { task.read_volatile() };
        check.equal("esp0 and ss0", (found.esp0, found.ss0), (end, data.0.into()));
        enters_on(check, what, end);
    }
}
