//! Memory in large pages where that is to be asked for.
//!
//! Meshes and point clouds are vectors of tens of megabytes that are filled once. In pages of 4 KiB a fifth of the time goes into
//! page faults. Linux gives 2 MiB at a time to whoever asks, which neither it nor its C library does by itself
//! (`/sys/kernel/mm/transparent_hugepage/enabled` says `madvise`).
#![expect(
    unsafe_code,
    reason = "an allocator is unsafe by its nature; this one passes everything on to that of the system"
)]

use std::alloc::{GlobalAlloc, Layout, System};

/// From how many bytes on.
const LARGE: usize = 4 << 20;

/// The allocator of the system, which asks for large pages where they pay.
pub(crate) struct LargePages;

// SAFETY: every block is one of the system's allocator, with the layout it was asked for.
unsafe impl GlobalAlloc for LargePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the contract is the same.
        advised(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the contract is the same.
        advised(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the contract is the same.
        advised(unsafe { System.realloc(block, layout, size) }, size)
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the contract is the same.
        unsafe { System.dealloc(block, layout) }
    }
}

/// The block, after the advice if it is large.
#[inline]
fn advised(block: *mut u8, size: usize) -> *mut u8 {
    if size >= LARGE && !block.is_null() {
        advise(block, size);
    }
    block
}

#[cfg(target_os = "linux")]
#[cold]
fn advise(block: *mut u8, size: usize) {
    use rustix::mm::{Advice, madvise};
    let page = rustix::param::page_size();
    let skipped = block.align_offset(page);
    let length = size.saturating_sub(skipped) / page * page;
    // SAFETY: the range lies inside the block, and the advice changes nothing of what is in it. Where the system knows no large
    // pages it refuses, and nothing is lost.
    let _ = unsafe { madvise(block.wrapping_add(skipped).cast(), length, Advice::LinuxHugepage) };
}

#[cfg(not(target_os = "linux"))]
fn advise(_block: *mut u8, _size: usize) {}
