//! Buffers by index: what [`Buffer`] is to serde while a parcel is packed or unpacked.
//!
//! The list of buffers of the parcel in the making lies in a thread-local that [`pack`] and [`unpack`] alone set, because serde
//! carries no state of its own through derived code.

use std::cell::RefCell;
use std::collections::HashMap;
use std::marker::PhantomData;
use std::sync::Arc;

use bytemuck::Pod;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};

use super::Bytes;
use crate::record::Buffer;

#[derive(Default)]
enum Transfer {
    #[default]
    None,
    Packing {
        buffers: Vec<Bytes>,
        /// Buffers of bytes by address and length: a picture that two textures share is sent once.
        known: HashMap<(usize, usize), usize>,
    },
    Unpacking {
        buffers: Vec<Bytes>,
        used: Vec<bool>,
    },
}

thread_local! {
    static TRANSFER: RefCell<Transfer> = const { RefCell::new(Transfer::None) };
}

/// Runs `work` with `transfer` in place; gives back what became of it.
fn during<R>(transfer: Transfer, work: impl FnOnce() -> R) -> (R, Transfer) {
    struct Restore(Transfer);
    impl Drop for Restore {
        fn drop(&mut self) {
            TRANSFER.set(std::mem::take(&mut self.0));
        }
    }
    let _restore = Restore(TRANSFER.replace(transfer));
    let result = work();
    (result, TRANSFER.take())
}

/// Runs `write`; the buffers that it met, in order.
pub(super) fn pack<R>(write: impl FnOnce() -> R) -> (R, Vec<Bytes>) {
    match during(Transfer::Packing { buffers: Vec::new(), known: HashMap::new() }, write) {
        (result, Transfer::Packing { buffers, .. }) => (result, buffers),
        (result, _) => (result, Vec::new()),
    }
}

/// Runs `read` over these buffers; the first one that it did not ask for.
pub(super) fn unpack<R>(buffers: Vec<Bytes>, read: impl FnOnce() -> R) -> (R, Option<usize>) {
    let used = vec![false; buffers.len()];
    match during(Transfer::Unpacking { buffers, used }, read) {
        (result, Transfer::Unpacking { used, .. }) => (result, used.iter().position(|used| !used)),
        (result, _) => (result, None),
    }
}

/// Whether nothing is being packed: the public JSON leaves bulk out.
pub(crate) fn outside<T>(_: &T) -> bool {
    TRANSFER.with_borrow(|transfer| !matches!(transfer, Transfer::Packing { .. }))
}

/// Adds values to the parcel in the making, as the index of their buffer.
pub(super) fn put<T: Pod + Send + Sync, S: Serializer>(
    values: Arc<dyn AsRef<[T]> + Send + Sync>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let slice = (*values).as_ref();
    let key = (slice.as_ptr().addr(), slice.len());
    let index = TRANSFER.with_borrow_mut(|transfer| match transfer {
        Transfer::Packing { known, .. } if may_repeat::<T>() && known.contains_key(&key) => Ok(known[&key]),
        Transfer::Packing { buffers, known } => {
            buffers.push(Arc::new(AsBytes(values)));
            known.insert(key, buffers.len() - 1);
            Ok(buffers.len() - 1)
        }
        _ => Err(S::Error::custom("bulk can only be written into a parcel")),
    })?;
    serializer.serialize_u64(index as u64)
}

/// The bytes of the buffer whose index comes next, a whole number of elements. A buffer is referred to once, so that a small
/// parcel cannot pose as a large one; but pictures may be shared.
pub(super) fn take<'de, T: Pod, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    let index = usize::deserialize(deserializer)?;
    TRANSFER.with_borrow_mut(|transfer| {
        let Transfer::Unpacking { buffers, used } = transfer else {
            return Err(D::Error::custom("bulk can only be read from a parcel"));
        };
        let (Some(bytes), Some(used)) = (buffers.get(index), used.get_mut(index)) else {
            return Err(D::Error::custom(format!("buffer {index} is out of range: there are {}", buffers.len())));
        };
        let len = (**bytes).as_ref().len();
        if !len.is_multiple_of(size_of::<T>()) {
            let size = size_of::<T>();
            return Err(D::Error::custom(format!(
                "buffer {index}: expected elements of {size} bytes, found {len} bytes"
            )));
        }
        if std::mem::replace(used, true) && len > 0 && !may_repeat::<T>() {
            return Err(D::Error::custom(format!("buffer {index} is referred to twice")));
        }
        Ok(Arc::clone(bytes))
    })
}

const fn may_repeat<T>() -> bool {
    size_of::<T>() == 1
}

/// A copy of the elements, whatever their alignment.
pub(super) fn collect<T: Pod>(bytes: &Bytes) -> Vec<T> {
    let bytes = (**bytes).as_ref();
    match bytemuck::try_cast_slice(bytes) {
        Ok(elements) => elements.to_vec(),
        Err(_) => bytemuck::allocation::pod_collect_to_vec(bytes),
    }
}

impl<T: Pod + Send + Sync> Serialize for Buffer<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        put(self.handle(), serializer)
    }
}

impl<'de, T: Pod + Send + Sync> Deserialize<'de> for Buffer<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = take::<T, D>(deserializer)?;
        if bytemuck::try_cast_slice::<u8, T>((*bytes).as_ref()).is_err() {
            return Ok(collect(&bytes).into());
        }
        Ok(Self::shared(Arc::new(AsElements { bytes, elements: PhantomData })))
    }
}

/// Elements as their bytes.
struct AsBytes<T>(Arc<dyn AsRef<[T]> + Send + Sync>);

impl<T: Pod> AsRef<[u8]> for AsBytes<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice((*self.0).as_ref())
    }
}

/// Bytes, found to be aligned elements, as these.
struct AsElements<T> {
    bytes: Bytes,
    elements: PhantomData<fn() -> T>,
}

impl<T: Pod> AsRef<[T]> for AsElements<T> {
    fn as_ref(&self) -> &[T] {
        // An owner that changes what it shows is not believed: no elements, but no panic either.
        bytemuck::try_cast_slice((*self.bytes).as_ref()).unwrap_or_default()
    }
}
