//! The second processor: the real-mode page at which it begins natively, and what it does when it is up.
//!
//! Natively the page leads into protected mode and to code that loads the registers from the same structure
//! from which a ROM loads them, so the processor begins the kernel's work in the same state either way: at
//! `ap_entry`, which writes down every register before it changes one.
//!
//! # Safety
//!
//! One processor is started at a time, and it touches nothing but what is written down here. The assembly
//! runs before the processor has made its first call.
#![allow(unsafe_code)]

use core::arch::global_asm;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use paravirt_vmi::abi::{ApState, DescriptorTableRegister};
use paravirt_vmi::mmu::{LinearMappingSlot, set_linear_mapping};
use paravirt_vmi::smp::{ApStatePage, TrampolinePage};
use paravirt_vmi::{cpu, descriptor, irq};

use crate::gdt::{KERNEL_CODE, KERNEL_DATA};
use crate::paging;

/// Where the processor begins in real mode.
pub const TRAMPOLINE: TrampolinePage = match TrampolinePage::new(TRAMPOLINE_ADDRESS) {
    Some(page) => page,
    None => panic!("no processor can begin here"),
};
const TRAMPOLINE_ADDRESS: u32 = 0x8000;

/// The registers of the processor when it came to `ap_entry`.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub struct Found {
    /// EAX, EBX, ECX, EDX, ESP, EBP, ESI, EDI.
    pub general: [u32; 8],
    /// EFLAGS.
    pub eflags: u32,
    /// CR0, CR2, CR3, CR4.
    pub control: [u32; 4],
    /// CS, SS, DS, ES, FS, GS, LDTR.
    pub selectors: [u32; 7],
    /// The first bytes of the segments in FS and GS.
    pub bytes: [u32; 2],
    /// Limit and base of the GDT, and of the IDT.
    pub tables: [[u16; 4]; 2],
    /// IA32_EFER, if the processor has it.
    pub efer: u32,
}

/// What the processor's own calls answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Whether interrupts were enabled at first, after `enable` was not called, and after a save and restore.
    pub enabled: [bool; 2],
    /// CR3.
    pub cr3: u32,
    /// The APIC id, by CPUID.
    pub apic_id: u8,
    /// The base of the GDT.
    pub gdt: u32,
    /// Whether the time-stamp counter runs.
    pub time_passes: bool,
}

static mut FOUND: Found = Found {
    general: [0; 8],
    eflags: 0,
    control: [0; 4],
    selectors: [0; 7],
    bytes: [0; 2],
    tables: [[0; 4]; 2],
    efer: 0,
};
static mut ANSWERS: Answers = Answers { enabled: [true; 2], cr3: 0, apic_id: 0, gdt: 0, time_passes: false };
/// Not 0 when the two above are written.
static UP: AtomicU32 = AtomicU32::new(0);
/// Where the native code finds the registers to load.
static STATE: AtomicU32 = AtomicU32::new(0);
/// Whether the native code ran.
static WAS_NATIVE: AtomicU32 = AtomicU32::new(0);
/// Whether the processor has IA32_EFER.
static HAS_EFER: AtomicU32 = AtomicU32::new(0);

unsafe extern "C" {
    static ap_trampoline: u8;
    static ap_trampoline_end: u8;
    static ap_entry: u8;
}

global_asm!(
    r#"
    .pushsection .boot.text, "ax", @progbits
    .balign 4
    # copied to a page below 1 MiB; IP is 0 there
    .code16
    .globl ap_trampoline, ap_trampoline_end, ap_entry
ap_trampoline:
    jmp 2f
    # at offset 4: limit and base, which has 24 bits here, of the kernel's GDT
    .balign 4
    .word 0x2f
    .long {gdt}
2:  cli
    mov ax, cs
    mov ds, ax
    lgdt [4]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    # jmp far, 32-bit
    .byte 0x66, 0xea
    .long ap_protected
    .word {kernel_code}
ap_trampoline_end:
    .code32

ap_protected:
    mov eax, {kernel_data}
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov dword ptr [{was_native}], 1
    mov ebx, [{state}]
    mov eax, [ebx + {cr4}]
    mov cr4, eax
    mov eax, [ebx + {cr3}]
    mov cr3, eax
    mov eax, [ebx + {efer}]
    mov edx, [ebx + {efer} + 4]
    mov ecx, eax
    or ecx, edx
    jz 2f
    mov ecx, 0xc0000080
    wrmsr
2:  mov eax, [ebx + {cr0}]
    mov cr0, eax
    jmp 3f
3:  mov eax, [ebx + {cr2}]
    mov cr2, eax
    mov esp, [ebx + {esp}]
    # limit, then base, as the instructions want them
    lgdt [ebx + {gdtr_limit}]
    push [ebx + {idtr_base}]
    push word ptr [ebx + {idtr_limit}]
    lidt [esp]
    lldt [ebx + {ldtr}]
    mov fs, [ebx + {fs}]
    mov gs, [ebx + {gs}]
    mov es, [ebx + {es}]
    mov ss, [ebx + {ss}]
    mov esp, [ebx + {esp}]
    push [ebx + {eflags}]
    movzx eax, word ptr [ebx + {cs}]
    push eax
    push [ebx + {eip}]
    push [ebx + {ebx}]
    mov ecx, [ebx + {ecx}]
    mov edx, [ebx + {edx}]
    mov ebp, [ebx + {ebp}]
    mov esi, [ebx + {esi}]
    mov edi, [ebx + {edi}]
    mov eax, [ebx + {eax}]
    mov ds, [ebx + {ds}]
    pop ebx
    iretd

    .set FOUND, {found}
ap_entry:
    mov [FOUND], eax
    mov [FOUND + 4], ebx
    mov [FOUND + 8], ecx
    mov [FOUND + 12], edx
    mov [FOUND + 16], esp
    mov [FOUND + 20], ebp
    mov [FOUND + 24], esi
    mov [FOUND + 28], edi
    pushfd
    pop [FOUND + 32]
    mov eax, cr0
    mov [FOUND + {control}], eax
    mov eax, cr2
    mov [FOUND + {control} + 4], eax
    mov eax, cr3
    mov [FOUND + {control} + 8], eax
    mov eax, cr4
    mov [FOUND + {control} + 12], eax
    mov [FOUND + {selectors}], cs
    mov [FOUND + {selectors} + 4], ss
    mov [FOUND + {selectors} + 8], ds
    mov [FOUND + {selectors} + 12], es
    mov [FOUND + {selectors} + 16], fs
    mov [FOUND + {selectors} + 20], gs
    sldt [FOUND + {selectors} + 24]
    movzx eax, byte ptr fs:[0]
    mov [FOUND + {bytes}], eax
    movzx eax, byte ptr gs:[0]
    mov [FOUND + {bytes} + 4], eax
    sgdt [FOUND + {tables}]
    sidt [FOUND + {tables} + 8]
    cmp dword ptr [{has_efer}], 0
    je 2f
    mov ecx, 0xc0000080
    rdmsr
    mov [FOUND + {found_efer}], eax
2:  cld
    xor ebp, ebp
    and esp, -16
    call ap_main
3:  cli
    hlt
    jmp 3b
    .popsection
"#,
    kernel_code = const KERNEL_CODE,
    kernel_data = const KERNEL_DATA,
    gdt = sym crate::gdt::GDT,
    was_native = sym WAS_NATIVE,
    state = sym STATE,
    found = sym FOUND,
    has_efer = sym HAS_EFER,
    control = const offset_of!(Found, control),
    selectors = const offset_of!(Found, selectors),
    bytes = const offset_of!(Found, bytes),
    tables = const offset_of!(Found, tables),
    found_efer = const offset_of!(Found, efer),
    cr0 = const offset_of!(ApState, cr0),
    cr2 = const offset_of!(ApState, cr2),
    cr3 = const offset_of!(ApState, cr3),
    cr4 = const offset_of!(ApState, cr4),
    efer = const offset_of!(ApState, efer),
    eip = const offset_of!(ApState, eip),
    eflags = const offset_of!(ApState, eflags),
    eax = const offset_of!(ApState, eax),
    ebx = const offset_of!(ApState, ebx),
    ecx = const offset_of!(ApState, ecx),
    edx = const offset_of!(ApState, edx),
    esp = const offset_of!(ApState, esp),
    ebp = const offset_of!(ApState, ebp),
    esi = const offset_of!(ApState, esi),
    edi = const offset_of!(ApState, edi),
    cs = const offset_of!(ApState, cs),
    ss = const offset_of!(ApState, ss),
    ds = const offset_of!(ApState, ds),
    es = const offset_of!(ApState, es),
    fs = const offset_of!(ApState, fs),
    gs = const offset_of!(ApState, gs),
    ldtr = const offset_of!(ApState, ldtr),
    gdtr_limit = const offset_of!(ApState, gdtr_limit),
    idtr_base = const offset_of!(ApState, idtr_base),
    idtr_limit = const offset_of!(ApState, idtr_limit),
);

/// The processor's first Rust code: the calls that it makes itself.
#[unsafe(no_mangle)]
extern "C" fn ap_main() {
    // SAFETY: that is how the lower memory is mapped.
    unsafe { set_linear_mapping(LinearMappingSlot::LOW_MEMORY, paging::LOW_MEMORY) };
    let at_first = irq::is_enabled();
    let state = irq::save();
    irq::disable();
    // SAFETY: makes interrupts as they were.
    unsafe { irq::restore(state) };
    let start = cpu::rdtsc();
    let answers = Answers {
        enabled: [at_first, irq::is_enabled()],
        cr3: cpu::cr3(),
        apic_id: (cpu::cpuid(1, 0).ebx >> 24) as u8,
        gdt: descriptor::gdt().base.get(),
        time_passes: cpu::rdtsc() > start,
    };
    let place = &raw mut ANSWERS;
    // SAFETY: the other processor reads it when UP is set.
    unsafe { place.write_volatile(answers) };
    UP.store(1, core::sync::atomic::Ordering::Release);
}

/// Makes ready for a processor: it will be in `state`.
pub fn prepare(state: &ApStatePage, has_efer: bool) {
    UP.store(0, Relaxed);
    WAS_NATIVE.store(0, Relaxed);
    let found = &raw mut FOUND;
    // SAFETY: no other processor runs.
    unsafe { found.write_volatile(Found::default()) };
    HAS_EFER.store(has_efer.into(), Relaxed);
    STATE.store(&raw const *state as u32, Relaxed);
    let start = &raw const ap_trampoline;
    let length = &raw const ap_trampoline_end as usize - start as usize;
    let page = ptr::with_exposed_provenance_mut::<u8>(TRAMPOLINE_ADDRESS as usize);
    // SAFETY: the page is mapped to itself, and the kernel uses it for nothing else.
    unsafe { ptr::copy_nonoverlapping(start, page, length) };
}

/// Where a processor begins once it is in its state.
pub fn entry() -> u32 {
    &raw const ap_entry as u32
}

/// Whether the processor has done its work.
pub fn is_up() -> bool {
    UP.load(core::sync::atomic::Ordering::Acquire) != 0
}

/// Whether it came by way of the page at [`TRAMPOLINE`].
pub fn was_native() -> bool {
    WAS_NATIVE.load(Relaxed) != 0
}

/// What the processor found and what its calls answered; to be asked when it is up.
pub fn report() -> (Found, Answers) {
    let (found, answers) = (&raw const FOUND, &raw const ANSWERS);
    // SAFETY: the processor has written both and sleeps.
    let found = unsafe { found.read_volatile() };
    // SAFETY: as above.
    (found, unsafe { answers.read_volatile() })
}

/// A descriptor-table register from what `sgdt` and `sidt` store.
pub fn table(words: [u16; 4]) -> DescriptorTableRegister {
    let [limit, low, high, _] = words;
    DescriptorTableRegister::new(limit, u32::from(high) << 16 | u32::from(low))
}
