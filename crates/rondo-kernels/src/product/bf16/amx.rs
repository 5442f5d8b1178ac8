//! Computes a block of a product with AMX. AMX has eight tile registers of 1 KiB each. Four of them
//! hold sums.

use std::arch::asm;
use std::arch::x86_64::{__cpuid, __cpuid_count, _xgetbv};
use std::marker::PhantomData;
use std::sync::OnceLock;

use super::dots::Dots;
use super::pieces::{BlockKernel, Place};
use super::tile::{SIDE, TILES, Tile};

/// Proof that the machine has AMX and that the system lets this process use it.
#[derive(Clone, Copy, Debug)]
pub(in crate::product) struct Amx(Dots);

impl Amx {
    /// Detects AMX. The first call in a process requests the system's permission to use AMX.
    pub(super) fn detect() -> Option<Self> {
        static THERE: OnceLock<bool> = OnceLock::new();
        let there = *THERE.get_or_init(|| processor_has_it() && system_permits_it());
        Dots::detect().filter(|_| there).map(Self)
    }
}

/// Returns whether the processor has eight tiles with 16 rows of 64 bytes and can multiply tiles of
/// bf16 numbers, and whether the system is able to save tiles when it switches threads.
fn processor_has_it() -> bool {
    const OSXSAVE: u32 = 1 << 27;
    const AMX_BF16: u32 = 1 << 22;
    const AMX_TILE: u32 = 1 << 24;
    const TILE_STATE: u64 = 0b11 << 17;
    const TILE_LEAF: u32 = 0x1d;
    let wants = |bits: u32, of: u32| bits & of == of;
    if __cpuid(0).eax < TILE_LEAF
        || !wants(__cpuid(1).ecx, OSXSAVE)
        || !wants(__cpuid_count(7, 0).edx, AMX_BF16 | AMX_TILE)
    {
        return false;
    }
    // SAFETY: the bit OSXSAVE states that the processor has the instruction.
    let saved = unsafe { _xgetbv(0) };
    // For palette 1, EBX holds the bytes of a row and the number of tiles; ECX holds the number of
    // rows.
    let palette = __cpuid_count(TILE_LEAF, 1);
    saved & TILE_STATE == TILE_STATE
        && palette.ebx & 0xffff == 64
        && palette.ebx >> 16 >= 8
        && palette.ecx & 0xffff >= 16
}

/// Requests the system's permission to use tiles in this process, and returns whether the system
/// grants it.
#[cfg(target_os = "linux")]
fn system_permits_it() -> bool {
    const ARCH_PRCTL: isize = 158;
    const ARCH_REQ_XCOMP_PERM: usize = 0x1023;
    const TILE_DATA: usize = 18;
    let result: isize;
    // SAFETY: the call takes two numbers and reads or writes no memory of this process; the system
    // preserves all registers that are not listed.
    unsafe {
        asm!(
            "syscall",
            inlateout("rax") ARCH_PRCTL => result,
            in("rdi") ARCH_REQ_XCOMP_PERM,
            in("rsi") TILE_DATA,
            out("rcx") _,
            out("r11") _,
            options(nostack),
        );
    }
    result == 0
}

/// AMX is used on Linux only.
#[cfg(not(target_os = "linux"))]
fn system_permits_it() -> bool {
    false
}

/// The tile registers of this thread. They stay configured until this value is dropped.
pub(super) struct Tiles(PhantomData<*mut ()>);

/// The data that `ldtilecfg` reads: palette 1, and a size of 16 rows and 64 bytes per row for each
/// of the eight tiles.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

static CONFIGURATION: Configuration = Configuration {
    palette: 1,
    start_row: 0,
    reserved: [0; 14],
    row_bytes: [64, 64, 64, 64, 64, 64, 64, 64, 0, 0, 0, 0, 0, 0, 0, 0],
    rows: [16, 16, 16, 16, 16, 16, 16, 16, 0, 0, 0, 0, 0, 0, 0, 0],
};

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: this thread configured its tiles, and nothing else uses them. The system need not
        // save released tiles when it switches to another thread.
        unsafe { asm!("tilerelease", options(nostack, nomem)) }
    }
}

impl BlockKernel for Amx {
    type Ready = Tiles;

    fn dots(self) -> Dots {
        self.0
    }

    fn ready(self) -> Tiles {
        // SAFETY: `Amx` exists only if the machine has the instruction and the system permits AMX.
        // The 64 bytes are a valid configuration.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &raw const CONFIGURATION, options(nostack, readonly));
        }
        Tiles(PhantomData)
    }

    unsafe fn block(_: &Tiles, a: &[Tile], b: &[Tile], place: Place) {
        let steps = a.len() / TILES;
        assert!(steps > 0 && b.len() >= steps * TILES);
        let below = place.start.wrapping_add(SIDE * place.row_stride);
        // SAFETY: the tile registers are configured, because `Tiles` exists and stays on its
        // thread. Each step reads two tiles of `a` and two tiles of `b`, which the slices contain.
        // The sums are read (if `place.add` is true) and written at a place that the caller
        // guarantees to be valid.
        unsafe {
            asm!(
                "test {add:e}, {add:e}",
                "jz 2f",
                "tileloadd tmm0, [{above} + {stride}*1]",
                "tileloadd tmm1, [{above} + {stride}*1 + 64]",
                "tileloadd tmm2, [{below} + {stride}*1]",
                "tileloadd tmm3, [{below} + {stride}*1 + 64]",
                "jmp 3f",
                "2:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "3:",
                "tileloadd tmm4, [{a} + {line}*1]",
                "tileloadd tmm6, [{b} + {line}*1]",
                "tileloadd tmm7, [{b} + {line}*1 + 1024]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tileloadd tmm5, [{a} + {line}*1 + 1024]",
                "tdpbf16ps tmm1, tmm4, tmm7",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                "add {a}, 2048",
                "add {b}, 2048",
                "dec {steps}",
                "jnz 3b",
                "tilestored [{above} + {stride}*1], tmm0",
                "tilestored [{above} + {stride}*1 + 64], tmm1",
                "tilestored [{below} + {stride}*1], tmm2",
                "tilestored [{below} + {stride}*1 + 64], tmm3",
                add = in(reg) u32::from(place.add),
                above = in(reg) place.start,
                below = in(reg) below,
                stride = in(reg) place.row_stride * size_of::<f32>(),
                a = inout(reg) a.as_ptr() => _,
                b = inout(reg) b.as_ptr() => _,
                line = in(reg) SIDE * size_of::<f32>(),
                steps = inout(reg) steps => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}
