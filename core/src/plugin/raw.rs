//! What the tables point to, as safe values: borrowed text, tables that may be shorter than ours, buffers with an owner.
//! Used by both sides.
#![expect(
    unsafe_code,
    reason = "what lies behind the pointers of the other side is taken on its word, as the contract has it"
)]

use std::borrow::Cow;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::abi::{Answer, Buf, Failure, Finding, Host, Input, Message, Plugin, Str, View};
use crate::wire::{Bytes, Parcel};

/// A struct of the interface that begins with its own size.
///
/// # Safety
/// `repr(C)`, its first field is a `u32` with its size in bytes, and all zeros are a value of it.
pub unsafe trait Grows {}

// SAFETY: all of them are `repr(C)`, begin with `size: u32`, and hold numbers, raw pointers and `Option`s of functions alone.
unsafe impl Grows for Host {}
// SAFETY: as above.
unsafe impl Grows for Plugin {}
// SAFETY: as above.
unsafe impl Grows for Failure {}
// SAFETY: as above.
unsafe impl Grows for Finding {}
// SAFETY: as above.
unsafe impl Grows for Input {}
// SAFETY: as above.
unsafe impl Grows for View {}
// SAFETY: as above.
unsafe impl Grows for Answer {}
// SAFETY: as above.
unsafe impl Grows for Message {}

/// As much of a struct as is there: whole fields, because half a pointer is none.
fn covered<T>(size: u32) -> usize {
    let size = (size as usize).min(size_of::<T>());
    size - size % align_of::<T>()
}

/// A copy of the other side's struct as far as it goes: what an older one does not have is zero, what a newer one has beyond
/// ours is left out. `None` for NULL.
///
/// # Safety
/// `from` is NULL or points to as many bytes as its `size` says, and is aligned.
#[must_use]
pub unsafe fn sized<T: Grows>(from: *const T) -> Option<T> {
    if from.is_null() {
        return None;
    }
    let mut copy = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: the first field is the size, and as many bytes are there; all zeros are a value, see `Grows`.
    unsafe {
        let size = covered::<T>(from.cast::<u32>().read());
        std::ptr::copy_nonoverlapping(from.cast::<u8>(), copy.as_mut_ptr().cast::<u8>(), size);
        Some(copy.assume_init())
    }
}

/// Puts our answer into a struct of the other side, as far as that goes. Its own `size` stays.
///
/// # Safety
/// `to` is NULL or points to as many bytes as its `size` says, writable and aligned.
pub unsafe fn put<T: Grows>(to: *mut T, value: &T) {
    if to.is_null() {
        return;
    }
    let head = size_of::<u32>();
    // SAFETY: the first field is the size, and as many bytes are there.
    unsafe {
        let size = covered::<T>(to.cast::<u32>().read());
        let from = std::ptr::from_ref(value).cast::<u8>().add(head);
        std::ptr::copy_nonoverlapping(from, to.cast::<u8>().add(head), size.saturating_sub(head));
    }
}

impl Str {
    /// No text.
    pub const EMPTY: Self = Self { ptr: std::ptr::null(), len: 0 };

    /// Text lent for a call.
    #[must_use]
    pub const fn of(text: &str) -> Self {
        Self::of_bytes(text.as_bytes())
    }

    /// Bytes lent for a call.
    #[must_use]
    pub const fn of_bytes(bytes: &[u8]) -> Self {
        Self { ptr: bytes.as_ptr(), len: bytes.len() }
    }
}

/// The bytes that are lent. A length that no memory has is none.
///
/// # Safety
/// `lent` is empty or points to as many bytes as it says, which stay as they are for `'a`.
#[must_use]
pub unsafe fn bytes<'a>(lent: Str) -> &'a [u8] {
    if lent.ptr.is_null() || lent.len > isize::MAX as usize {
        return &[];
    }
    // SAFETY: the caller's word; the length is one a slice can have.
    unsafe { std::slice::from_raw_parts(lent.ptr, lent.len) }
}

/// The first `most` bytes of the text that is lent. What is not UTF-8 shows as `U+FFFD`.
///
/// # Safety
/// As [`bytes`].
#[must_use]
pub unsafe fn text<'a>(lent: Str, most: usize) -> Cow<'a, str> {
    // SAFETY: the caller's word.
    let bytes = unsafe { bytes(lent) };
    String::from_utf8_lossy(&bytes[..bytes.len().min(most)])
}

impl Buf {
    /// Nothing, handed over.
    pub const EMPTY: Self = Self { ptr: std::ptr::null(), len: 0, owner: std::ptr::null_mut(), release: None };

    /// Bytes to hand over: whoever takes the buffer releases it.
    #[must_use]
    pub fn hand_over(bytes: Bytes) -> Self {
        let slice = (*bytes).as_ref();
        let (ptr, len) = (slice.as_ptr(), slice.len());
        Self { ptr, len, owner: Box::into_raw(Box::new(bytes)).cast::<c_void>(), release: Some(release) }
    }
}

/// Frees what [`Buf::hand_over`] made.
unsafe extern "C" fn release(buf: *mut Buf) {
    // SAFETY: by contract it is called once with the struct that `hand_over` made, or a copy of it.
    let owner = unsafe {
        let buf = &mut *buf;
        buf.release = None;
        Box::from_raw(std::mem::replace(&mut buf.owner, std::ptr::null_mut()).cast::<Bytes>())
    };
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(owner))) {
        std::mem::forget(panic);
    }
}

/// A buffer of the other side that is ours now: it is released when it is dropped.
#[derive(Debug)]
pub struct Taken(Buf);

// SAFETY: the bytes do not change, and by contract a buffer may be read and released from any thread.
unsafe impl Send for Taken {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Taken {}

impl Taken {
    /// Takes a buffer over and marks it as handed over where it stood. `None` when it has no `release`: it was handed over before,
    /// or is only lent.
    ///
    /// # Safety
    /// `from` is a buffer of the contract: as many bytes as it says, until it is released.
    #[must_use]
    pub unsafe fn take(from: &mut Buf) -> Option<Self> {
        let release = from.release.take()?;
        Some(Self(Buf { ptr: from.ptr, len: from.len, owner: from.owner, release: Some(release) }))
    }

    /// Whether its length and address are such as memory has. One that is not reads as no bytes.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.0.len <= isize::MAX as usize && (self.0.len == 0 || !self.0.ptr.is_null())
    }
}

impl AsRef<[u8]> for Taken {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: by contract the bytes are there until the release, which is in `drop`.
        unsafe { bytes(Str { ptr: self.0.ptr, len: self.0.len }) }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(release) = self.0.release {
            // SAFETY: it was taken over with its `release`, which nobody else has any more.
            unsafe { release(&raw mut self.0) };
        }
    }
}

/// A message lent to the other side, which may take any of its buffers over.
pub struct Lent {
    message: Message,
    /// What the message points to.
    json: String,
    buffers: Vec<Buf>,
}

// SAFETY: the pointers of the message point into the other two fields; its buffers may be released from any thread.
unsafe impl Send for Lent {}

impl Lent {
    /// A message of kind `what`.
    #[must_use]
    pub fn new(what: u32, parcel: Parcel) -> Self {
        let json = parcel.json;
        let mut buffers: Vec<Buf> = parcel.buffers.into_iter().map(Buf::hand_over).collect();
        let message = Message {
            size: size_of::<Message>() as u32,
            what,
            json: Str::of(&json),
            buffers: buffers.as_mut_ptr(),
            buffer_count: buffers.len(),
        };
        Self { message, json, buffers }
    }

    /// For a call.
    pub fn message(&mut self) -> &mut Message {
        self.message.json = Str::of(&self.json);
        &mut self.message
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        for buffer in &mut self.buffers {
            // SAFETY: made by `hand_over`; one that the other side took over has no `release` any more and stays.
            drop(unsafe { Taken::take(buffer) });
        }
    }
}
