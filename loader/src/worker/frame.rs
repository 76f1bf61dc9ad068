//! Frames on a socket: `len u32 | type u8 | payload`, with descriptors beside them. A frame holds a message and perhaps a
//! parcel, whose large buffers lie together in one sealed memory file.
//!
//! ```text
//! payload   message_len u32 | message | (parcel)
//! parcel    n u32 | n x (len u64 | place u64) | inline bytes      buffer 0 is the JSON
//! ```

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use mediary_core::wire::{Bytes, Parcel};
use mediary_core::{Error, ErrorKind, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sealed::{Filling, Sealed};

/// Bytes a frame may have.
const FRAME_BYTES: usize = 16 << 20;
/// Buffers over this size lie in sealed memory.
const INLINE_BYTES: usize = 64 << 10;
/// Bytes of small buffers together, beyond which all lie in sealed memory.
const INLINE_TOTAL: usize = 1 << 20;
/// Buffers a parcel may have: every one takes 16 bytes of its frame.
const BUFFERS: usize = FRAME_BYTES / 16 - 1;
/// Bytes the JSON of a parcel may have: it is copied, and bulk is not in it.
const JSON_BYTES: usize = 256 << 20;
/// Descriptors that may come beside a frame: the parcel's memory, and one more.
const DESCRIPTORS: usize = 2;
/// Set in the place of a buffer that lies in sealed memory; the rest is its offset.
const IN_MEMORY: u64 = 1 << 63;

/// The type byte: a message alone, or with a parcel.
const MESSAGE: u8 = 1;
const MESSAGE_AND_PARCEL: u8 = 2;

/// Why nothing can be said or heard any more.
pub(super) enum Fault {
    /// The other side is gone.
    Closed,
    /// It broke the protocol.
    Broke(Error),
    /// Waiting was ended from this side.
    Stopped(Error),
}

/// Waits until the socket can be read or written, or says why not.
pub(super) type Wait<'a> = &'a mut dyn FnMut(BorrowedFd<'_>, PollFlags) -> Result<(), Fault>;

/// A message as it came.
pub(super) struct Received<M> {
    pub(super) message: M,
    pub(super) parcel: Option<Parcel>,
    /// A file that came with it.
    pub(super) file: Option<OwnedFd>,
}

pub(super) fn broke(what: impl Into<String>) -> Fault {
    Fault::Broke(Error::new(ErrorKind::Worker, what))
}

fn unsendable(what: String) -> Fault {
    Fault::Stopped(Error::new(ErrorKind::Plugin, what))
}

/// Sends a message, a parcel and a file.
///
/// # Errors
/// As [`Fault`] says; `Stopped` when it cannot be packed, before anything is sent.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    message: &impl Serialize,
    parcel: Option<&Parcel>,
    file: Option<BorrowedFd<'_>>,
    wait: Wait<'_>,
) -> Result<(), Fault> {
    let message =
        serde_json::to_vec(message).map_err(|error| unsendable(format!("a message cannot be packed: {error}")))?;
    let mut frame = vec![0; 5];
    frame.extend(u32::try_from(message.len()).unwrap_or(u32::MAX).to_le_bytes());
    frame.extend(message);
    let memory = match parcel {
        Some(parcel) => pack(parcel, &mut frame).map_err(Fault::Stopped)?,
        None => None,
    };
    let len = frame.len() - 5;
    if len > FRAME_BYTES {
        return Err(unsendable(format!("a message of {len} bytes is over the {FRAME_BYTES} of a frame")));
    }
    frame[..4].copy_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
    frame[4] = if parcel.is_some() { MESSAGE_AND_PARCEL } else { MESSAGE };
    let descriptors: Vec<_> = memory.as_ref().map(AsFd::as_fd).into_iter().chain(file).collect();
    send_all(socket, &frame, &descriptors, wait)
}

/// Sends bytes; the descriptors go with the first of them.
pub(super) fn send_all(
    socket: BorrowedFd<'_>,
    mut bytes: &[u8],
    mut descriptors: &[BorrowedFd<'_>],
    wait: Wait<'_>,
) -> Result<(), Fault> {
    while !bytes.is_empty() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
            return Err(broke("too many descriptors for one message"));
        }
        match sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => {
                bytes = &bytes[sent..];
                descriptors = &[];
            }
            Err(Errno::AGAIN) => wait(socket, PollFlags::OUT)?,
            Err(Errno::INTR) => {}
            Err(Errno::PIPE | Errno::CONNRESET | Errno::NOTCONN | Errno::BADF) => return Err(Fault::Closed),
            Err(error) => return Err(broke(format!("cannot send: {error}"))),
        }
    }
    Ok(())
}

/// Lays a parcel into `frame`; gives the memory file of its large buffers.
fn pack(parcel: &Parcel, frame: &mut Vec<u8>) -> Result<Option<OwnedFd>> {
    let buffers = || {
        let rest = parcel.buffers.iter().map(|bytes| (**bytes).as_ref());
        std::iter::once(parcel.json.as_bytes()).chain(rest)
    };
    let small: usize = buffers().map(<[u8]>::len).filter(|&len| len <= INLINE_BYTES).sum();
    let inline = if small <= INLINE_TOTAL { INLINE_BYTES } else { 0 };
    let count = parcel.buffers.len() + 1;
    if count > BUFFERS {
        return Err(Error::new(
            ErrorKind::Plugin,
            format!("{count} buffers in one record, at most {BUFFERS} can be sent"),
        ));
    }
    frame.extend(u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
    let mut memory: Option<Filling> = None;
    let (mut at, mut in_memory) = (0, 0);
    for bytes in buffers() {
        let len = bytes.len() as u64;
        frame.extend(len.to_le_bytes());
        if bytes.len() <= inline {
            frame.extend(u64::to_le_bytes(at));
            at += len;
            continue;
        }
        let filling = match &mut memory {
            Some(filling) => filling,
            None => memory.insert(Filling::new()?),
        };
        frame.extend((in_memory | IN_MEMORY).to_le_bytes());
        filling.push(bytes)?;
        filling.align()?;
        in_memory = (in_memory + len).next_multiple_of(super::sealed::ALIGN);
    }
    for bytes in buffers().filter(|bytes| bytes.len() <= inline) {
        frame.extend(bytes);
    }
    memory.map(Filling::seal).transpose()
}

/// Receives a message; `most` caps the bytes of its parcel.
///
/// # Errors
/// As [`Fault`] says.
pub(super) fn receive<M: DeserializeOwned>(
    socket: BorrowedFd<'_>,
    most: u64,
    wait: Wait<'_>,
) -> Result<Received<M>, Fault> {
    let mut descriptors = Vec::new();
    let mut head = [0; 5];
    receive_all(socket, &mut head, &mut descriptors, wait)?;
    let [a, b, c, d, kind] = head;
    let len = u32::from_le_bytes([a, b, c, d]) as usize;
    if len > FRAME_BYTES {
        return Err(broke(format!("it announced a message of {len} bytes, at most {FRAME_BYTES} are allowed")));
    }
    if kind != MESSAGE && kind != MESSAGE_AND_PARCEL {
        return Err(broke(format!("expected a message, found type {kind}")));
    }
    let mut payload = Vec::new();
    // Memory grows with what really comes.
    while payload.len() < len {
        let start = payload.len();
        payload.resize(len.min(start + INLINE_TOTAL), 0);
        receive_all(socket, &mut payload[start..], &mut descriptors, wait)?;
    }
    let mut rest = &payload[..];
    let message = take(&mut rest, 4).and_then(|len| {
        let len = u32::from_le_bytes(len.try_into().ok()?);
        take(&mut rest, len as usize)
    });
    let message = message.ok_or_else(|| broke("its message is cut short"))?;
    let message =
        serde_json::from_slice(message).map_err(|error| broke(format!("its message is no message: {error}")))?;
    let mut descriptors = descriptors.into_iter();
    let parcel = match kind {
        MESSAGE_AND_PARCEL => Some(unpack(rest, &mut descriptors, most).map_err(Fault::Broke)?),
        _ => None,
    };
    Ok(Received { message, parcel, file: descriptors.next() })
}

fn receive_all(
    socket: BorrowedFd<'_>,
    bytes: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
    wait: Wait<'_>,
) -> Result<(), Fault> {
    let mut filled = 0;
    while filled < bytes.len() {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        match recvmsg(socket, &mut [IoSliceMut::new(&mut bytes[filled..])], &mut control, flags) {
            Ok(received) => {
                for message in control.drain() {
                    if let RecvAncillaryMessage::ScmRights(sent) = message {
                        descriptors.extend(sent);
                    }
                }
                if received.flags.contains(ReturnFlags::CTRUNC) || descriptors.len() > DESCRIPTORS {
                    return Err(broke("it sent more descriptors than a message may have"));
                }
                match received.bytes {
                    0 => return Err(Fault::Closed),
                    count => filled += count,
                }
            }
            Err(Errno::AGAIN) => wait(socket, PollFlags::IN)?,
            Err(Errno::INTR) => {}
            Err(Errno::CONNRESET | Errno::NOTCONN | Errno::BADF) => return Err(Fault::Closed),
            Err(error) => return Err(broke(format!("cannot receive: {error}"))),
        }
    }
    Ok(())
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(count)?;
    *rest = left;
    Some(taken)
}

fn unpack(mut rest: &[u8], descriptors: &mut impl Iterator<Item = OwnedFd>, most: u64) -> Result<Parcel> {
    let broken = |what: &str| Error::new(ErrorKind::Worker, format!("its answer is broken: {what}"));
    let count = take(&mut rest, 4).and_then(|count| count.try_into().ok()).map(u32::from_le_bytes);
    let count = count.ok_or_else(|| broken("it is cut short"))? as usize;
    let table = take(&mut rest, count.saturating_mul(16)).ok_or_else(|| broken("its table of buffers is cut short"))?;
    let number = |bytes: &[u8]| bytes.try_into().map_or(u64::MAX, u64::from_le_bytes);
    let places = table.chunks_exact(16).map(|entry| (number(&entry[..8]), number(&entry[8..])));
    let memory_len = places
        .clone()
        .filter(|(_, place)| place & IN_MEMORY != 0)
        .map(|(len, place)| (place & !IN_MEMORY).saturating_add(len))
        .max();
    let sealed = match memory_len {
        None => None,
        Some(len) if len > most.min(i64::MAX as u64) => {
            return Err(broken(&format!("it is of {len} bytes, at most {most} are allowed")));
        }
        Some(len) => {
            let memory = descriptors.next().ok_or_else(|| broken("its memory was not sent"))?;
            Some(Sealed::map(memory, len.next_multiple_of(super::sealed::ALIGN))?)
        }
    };
    let mut at = 0;
    let mut buffers = Vec::new();
    for (len, place) in places {
        let buffer = match &sealed {
            Some(sealed) if place & IN_MEMORY != 0 => sealed.part(place & !IN_MEMORY, len),
            // One after the other, so that no byte is copied twice.
            _ if place == at => usize::try_from(len).ok().and_then(|len| {
                at += len as u64;
                Some(Arc::new(Aligned::copy(take(&mut rest, len)?)) as Bytes)
            }),
            _ => None,
        };
        buffers.push(buffer.ok_or_else(|| broken("a buffer lies outside of it"))?);
    }
    if buffers.is_empty() {
        return Err(broken("it has no JSON"));
    }
    let json = buffers.remove(0);
    if (*json).as_ref().len() > JSON_BYTES {
        return Err(broken(&format!("its JSON is over {JSON_BYTES} bytes")));
    }
    let json = std::str::from_utf8((*json).as_ref()).map_err(|_| broken("its JSON is not UTF-8"))?;
    Ok(Parcel { json: json.to_owned(), buffers })
}

/// A copy of a small buffer, aligned for any element.
struct Aligned {
    words: Vec<u128>,
    len: usize,
}

impl Aligned {
    fn copy(bytes: &[u8]) -> Self {
        let mut words = vec![0_u128; bytes.len().div_ceil(16)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self { words, len: bytes.len() }
    }
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[..self.len]
    }
}

/// How long an end of the connection looks for the other's answer before it lets the system wake it: that takes longer than most
/// answers do.
const LOOK: Duration = Duration::from_micros(50);

/// Whether the socket is ready within [`LOOK`]. Where there is one processor alone the other end needs it.
pub(super) fn is_ready_soon(socket: BorrowedFd<'_>, events: PollFlags) -> bool {
    static ALONE: OnceLock<bool> = OnceLock::new();
    if *ALONE.get_or_init(|| std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1)) {
        return false;
    }
    let (begun, at_once) = (Instant::now(), Timespec { tv_sec: 0, tv_nsec: 0 });
    while begun.elapsed() < LOOK {
        if matches!(poll(&mut [PollFd::from_borrowed_fd(socket, events)], Some(&at_once)), Ok(1..)) {
            return true;
        }
    }
    false
}
