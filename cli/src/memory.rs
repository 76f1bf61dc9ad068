//! Memory in large pages where that is to be asked for.
//!
//! Meshes, point clouds and molecules are vectors of megabytes that are filled once. In pages of 4 KiB a fifth to a half of the time
//! goes into page faults. Linux gives 2 MiB at a time to whoever asks, which neither it nor its C library does by itself
//! (`/sys/kernel/mm/transparent_hugepage/enabled` says `madvise`). Blocks from 4 MiB on are mapped one by one and ask for
//! themselves; what is smaller lies in the heap, for which [`prepare`] asks once.
#![expect(
    unsafe_code,
    reason = "an allocator is unsafe by its nature; this one passes everything on to that of the system"
)]

use std::alloc::{GlobalAlloc, Layout, System};

/// From how many bytes on.
const LARGE: usize = 4 << 20;

/// Addresses that the heap is given at once, and asked for. Memory it is only where something lies.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEAP: i32 = 64 << 20;

/// Gives the heap of the main thread large pages, as far as [`HEAP`] goes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub(crate) fn prepare() {
    // Smaller than what is mapped by itself, and larger than what the heap has before it grows.
    const FIRST: usize = 1 << 20;
    // SAFETY: these set numbers of the C library, which refuses what it does not know.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE as i32);
        libc::mallopt(libc::M_TRIM_THRESHOLD, HEAP);
        libc::mallopt(libc::M_TOP_PAD, HEAP);
    }
    // SAFETY: the block is not used, and given back; `sbrk(0)` only tells where the heap ends.
    let (block, end) = unsafe {
        let block = libc::malloc(FIRST);
        libc::free(block);
        (block.cast::<u8>(), libc::sbrk(0).cast::<u8>())
    };
    let size = (end as usize).saturating_sub(block as usize);
    // Where the heap could not grow, the block lay elsewhere.
    if !block.is_null() && size <= FIRST + HEAP as usize + (1 << 20) {
        advise(block, size);
    }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub(crate) fn prepare() {}

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
