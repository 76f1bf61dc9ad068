//! [`Buffer`]: bulk values of a record, owned or shared with whoever made them.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Values in a row, immutable where they are shared. What a plugin or a worker process made is used in place, without a copy;
/// a `Vec` becomes one without a copy either. Reads as a slice. With serde it is the index of a buffer of a
/// [`Parcel`](crate::wire::Parcel), and an error anywhere else.
pub struct Buffer<T>(Values<T>);

enum Values<T> {
    Owned(Vec<T>),
    Shared(Arc<dyn AsRef<[T]> + Send + Sync>),
}

impl<T> Buffer<T> {
    /// Values that somebody else owns.
    #[must_use]
    pub fn shared(values: Arc<dyn AsRef<[T]> + Send + Sync>) -> Self {
        Self(Values::Shared(values))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }

    /// The values.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        match &self.0 {
            Values::Owned(values) => values,
            Values::Shared(values) => (**values).as_ref(),
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Buffer<T> {
    /// A handle of the values: copied unless they are [shared](Self::share) already.
    pub(crate) fn handle(&self) -> Arc<dyn AsRef<[T]> + Send + Sync> {
        match &self.0 {
            Values::Owned(values) => Arc::new(values.clone()),
            Values::Shared(values) => Arc::clone(values),
        }
    }
}

impl<T: Clone> Buffer<T> {
    /// As a vector: copied only where they are shared.
    #[must_use]
    pub fn into_vec(self) -> Vec<T> {
        match self.0 {
            Values::Owned(values) => values,
            Values::Shared(values) => (*values).as_ref().to_vec(),
        }
    }

    /// To change them: copied first where they are shared.
    pub fn to_mut(&mut self) -> &mut Vec<T> {
        if let Values::Shared(values) = &self.0 {
            self.0 = Values::Owned((**values).as_ref().to_vec());
        }
        match &mut self.0 {
            Values::Owned(values) => values,
            Values::Shared(_) => unreachable!("they were just copied"),
        }
    }
}

impl<T: Send + Sync + 'static> Buffer<T> {
    /// Another handle of the same values, without a copy: they are shared from now on.
    #[must_use]
    pub fn share(&mut self) -> Arc<dyn AsRef<[T]> + Send + Sync> {
        if let Values::Owned(values) = &mut self.0 {
            self.0 = Values::Shared(Arc::new(std::mem::take(values)));
        }
        match &self.0 {
            Values::Shared(values) => Arc::clone(values),
            Values::Owned(_) => unreachable!("they were just shared"),
        }
    }
}

impl<T> Deref for Buffer<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.as_slice()
    }
}

impl<T> Default for Buffer<T> {
    fn default() -> Self {
        Self(Values::Owned(Vec::new()))
    }
}

impl<T> From<Vec<T>> for Buffer<T> {
    fn from(values: Vec<T>) -> Self {
        Self(Values::Owned(values))
    }
}

impl<T: Send + Sync + 'static> From<Arc<[T]>> for Buffer<T> {
    fn from(values: Arc<[T]>) -> Self {
        Self(Values::Shared(Arc::new(values)))
    }
}

impl<T, const N: usize> From<[T; N]> for Buffer<T> {
    fn from(values: [T; N]) -> Self {
        Self(Values::Owned(values.into()))
    }
}

impl<T> FromIterator<T> for Buffer<T> {
    fn from_iter<I: IntoIterator<Item = T>>(values: I) -> Self {
        Self(Values::Owned(values.into_iter().collect()))
    }
}

impl<T: Clone> IntoIterator for Buffer<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_vec().into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Buffer<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.as_slice().iter()
    }
}

impl<T: Clone> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        match &self.0 {
            Values::Owned(values) => Self(Values::Owned(values.clone())),
            Values::Shared(values) => Self(Values::Shared(Arc::clone(values))),
        }
    }
}

impl<T: PartialEq> PartialEq for Buffer<T> {
    fn eq(&self, other: &Self) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: PartialEq> PartialEq<Vec<T>> for Buffer<T> {
    fn eq(&self, other: &Vec<T>) -> bool {
        self.as_slice() == other.as_slice()
    }
}

impl<T: PartialEq, const N: usize> PartialEq<[T; N]> for Buffer<T> {
    fn eq(&self, other: &[T; N]) -> bool {
        self.as_slice() == other
    }
}

impl<T: fmt::Debug> fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_slice().fmt(f)
    }
}
