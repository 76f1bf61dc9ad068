//! Memory in large pages where that is to be asked for.
//!
//! Columns, meshes and pictures are vectors of megabytes that are filled once. In pages of 4 KiB up to a third of the time goes into
//! page faults. Linux gives 2 MiB at a time to whoever asks, which neither it nor its C library does by itself
//! (`/sys/kernel/mm/transparent_hugepage/enabled` says `madvise`), and where the addresses lie that way, which the C library
//! does not see to either.
#![expect(unsafe_code, reason = "an allocator is unsafe by its nature; this one passes everything on to that of C")]

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

/// Bytes of a large page.
const LARGE: usize = 2 << 20;
/// What `malloc` aligns to on machines of 32 and 64 bits; blocks that are smaller than that perhaps to their size alone.
const USUAL: usize = 2 * size_of::<usize>();

/// The allocator of C, with blocks of [`LARGE`] and more in large pages.
pub(crate) struct LargePages;

// SAFETY: every block is one of C's `malloc`, `posix_memalign`, `calloc` or `realloc`, of the size and at least the alignment
// asked for: these four give blocks that `realloc` and `free` take.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() >= LARGE {
            // A last page that is mostly taken is a large one too.
            let rest = layout.size() % LARGE;
            let size = if rest > LARGE / 2 { layout.size().next_multiple_of(LARGE) } else { layout.size() };
            return advised(aligned(size, layout.align().max(LARGE)), size);
        }
        if !is_usual(layout.align(), layout.size()) {
            return aligned(layout.size(), layout.align().max(USUAL));
        }
        // SAFETY: it takes any size.
        unsafe { libc::malloc(layout.size()) }.cast()
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_usual(layout.align(), layout.size()) {
            // SAFETY: it takes any size. Pages that the system gives are zero already, which `calloc` alone knows.
            return advised(unsafe { libc::calloc(1, layout.size()) }.cast(), layout.size());
        }
        // SAFETY: the contract is the same.
        let block = unsafe { self.alloc(layout) };
        if !block.is_null() {
            // SAFETY: the block is of that size.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if is_usual(layout.align(), size) {
            // SAFETY: the block is one of C's. Large ones are moved by their pages, not copied, to any address.
            return advised(unsafe { libc::realloc(block.cast(), size) }.cast(), size);
        }
        // SAFETY: the size is that of a layout by contract, and not zero.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both blocks are of so many bytes, and are two.
            unsafe { moved.copy_from_nonoverlapping(block, size.min(layout.size())) };
            // SAFETY: the contract is the same.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }

    unsafe fn dealloc(&self, block: *mut u8, _layout: Layout) {
        // SAFETY: the block is one of C's.
        unsafe { libc::free(block.cast()) }
    }
}

/// Whether `malloc` aligns so many bytes to `align` by itself.
fn is_usual(align: usize, size: usize) -> bool {
    align <= USUAL && align <= size
}

fn aligned(size: usize, align: usize) -> *mut u8 {
    let mut block: *mut c_void = std::ptr::null_mut();
    // SAFETY: the alignment is a power of two and larger than a pointer.
    match unsafe { libc::posix_memalign(&raw mut block, align, size) } {
        0 => block.cast(),
        _ => std::ptr::null_mut(),
    }
}

/// The block, after the advice if there are large pages in it.
#[inline]
fn advised(block: *mut u8, size: usize) -> *mut u8 {
    if size >= LARGE && !block.is_null() {
        advise(block, size);
    }
    block
}

#[cold]
fn advise(block: *mut u8, size: usize) {
    let skipped = block.align_offset(LARGE);
    let length = size.saturating_sub(skipped) / LARGE * LARGE;
    // SAFETY: the range lies inside the block, and the advice changes nothing of what is in it. Where the system knows no large
    // pages it refuses, and nothing is lost.
    let _ = unsafe { libc::madvise(block.wrapping_add(skipped).cast(), length, libc::MADV_HUGEPAGE) };
}
