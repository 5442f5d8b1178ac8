//! Numbers below the normal range of f32.
//!
//! If hidden states collapse, gradients vanish through the iterations and become numbers below
//! 2⁻¹²⁶, with which a processor computes a hundred times more slowly. A collapsed run took 5.5
//! times as long with these numbers as with zeros in their place.

#![allow(unsafe_code, reason = "a processor's control register is set")]

/// Makes this thread, and all threads that it starts later, treat subnormal inputs and results of
/// operations as zero. All other numbers keep their bits. Call this function before the first
/// thread is started. On processors other than x86-64 and AArch64 it does nothing.
pub fn flush_to_zero() {
    #[cfg(target_arch = "x86_64")]
    {
        /// The bits "flush to zero" and "denormals are zero" (Intel SDM, volume 1, section 10.2.3).
        const FLUSH: u32 = 1 << 15 | 1 << 6;
        let mut control: u32 = 0;
        // SAFETY: the block reads and writes the four bytes of `control` and sets two bits of the
        // thread's control register; rounding and exceptions stay as they were. The compiler may
        // assume that the bits are not set, so it may compute a subnormal constant without flushing
        // it. No code here depends on such a constant.
        unsafe {
            std::arch::asm!("stmxcsr [{}]", in(reg) &raw mut control, options(nostack));
            control |= FLUSH;
            std::arch::asm!("ldmxcsr [{}]", in(reg) &raw const control, options(nostack));
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        /// The bit FZ of the register FPCR (Arm ARM, section C5.2.8).
        const FLUSH: u64 = 1 << 24;
        // SAFETY: as above.
        unsafe {
            let control: u64;
            std::arch::asm!("mrs {}, fpcr", out(reg) control, options(nomem, nostack));
            std::arch::asm!("msr fpcr, {}", in(reg) control | FLUSH, options(nomem, nostack));
        }
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::hint::black_box;
    use std::thread;

    use super::*;

    #[test]
    fn small_products_are_zero_in_this_thread_and_in_its_own() {
        let product = || black_box(1e-30_f32) * black_box(1e-10_f32);
        let flushed = move || {
            flush_to_zero();
            let inner = thread::spawn(product).join().expect("a thread");
            (
                product(),
                inner,
                black_box(1e-20_f32) * black_box(1e-10_f32),
            )
        };
        let (outer, inner, normal) = thread::spawn(flushed).join().expect("a thread");
        assert_eq!((outer.to_bits(), inner.to_bits()), (0, 0));
        assert!(normal > 0.0);
        assert!(product() > 0.0, "other threads keep them");
    }
}
