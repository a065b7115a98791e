//! The edge between C and Rust: panics, pointers, strings.
//!
//! Every exported function does its work inside [`guard`] or [`or`], so that no panic unwinds into C.
//! Pointers to single objects arrive as `Option<&T>` and the like, so NULL is an ordinary error;
//! buffers and strings come through the functions here.

use std::any::Any;
use std::ffi::{CStr, c_char};
use std::mem::MaybeUninit;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice;

use crate::error::{self, Failure};
use crate::status::ipip_status;

/// An out parameter that C may leave NULL.
pub(crate) type Out<'a, T> = Option<&'a mut MaybeUninit<T>>;

/// Runs `work`, keeps its failure for `ipip_last_error` and answers the status.
// Inlined by force: else each argument goes through memory on its way to `work`.
#[inline(always)]
pub(crate) fn guard(work: impl FnOnce() -> Result<(), Failure>) -> ipip_status {
    // Unwind safe: the header tells the caller to free what a panicked call was given.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => ipip_status::Ok,
        Ok(Err(failure)) => error::keep(failure),
        Err(panic) => keep_panic(&*panic),
    }
}

#[cold]
fn keep_panic(panic: &(dyn Any + Send)) -> ipip_status {
    error::keep(Failure::new(ipip_status::Panic, panic_text(panic)))
}

/// Runs `work`, which has no way to fail, and answers `fallback` should it panic all the same.
pub(crate) fn or<T>(fallback: T, work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(fallback)
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("fault inside the library: {}", text.unwrap_or("no message"))
}

/// A pointer that must not be NULL.
pub(crate) fn required<T>(pointer: Option<T>, name: &str) -> Result<T, Failure> {
    pointer.ok_or_else(|| null(name))
}

/// Hands `object` to the caller, who frees it.
pub(crate) fn give<T>(out: &mut MaybeUninit<*mut T>, object: T) {
    out.write(Box::into_raw(Box::new(object)));
}

/// The item of a list, counted from 0; `what` names the items.
pub(crate) fn at<'a, T>(list: &'a [T], index: usize, what: &str) -> Result<&'a T, Failure> {
    list.get(index).ok_or_else(|| {
        let text = format!("index is {index}, there are {} {what}", list.len());
        Failure::new(ipip_status::InvalidArgument, text)
    })
}

/// A flag, 0 or 1.
pub(crate) fn flag(value: u8, name: &str) -> Result<bool, Failure> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(Failure::new(
            ipip_status::InvalidArgument,
            format!("{name} is {other}, allowed are 0 and 1"),
        )),
    }
}

/// The value beside `found`, which should be one of the numbers of an enum.
pub(crate) fn choose<T: Copy>(
    found: u32,
    name: &str,
    kind: &str,
    values: &[(u32, T)],
) -> Result<T, Failure> {
    let value = values.iter().find(|(number, _)| *number == found);
    value.map(|(_, value)| *value).ok_or_else(|| {
        Failure::new(
            ipip_status::InvalidArgument,
            format!("{name} is {found}, which is no enum {kind}"),
        )
    })
}

/// The octets at `pointer`; NULL is allowed for none.
///
/// # Safety
/// As [`array`].
pub(crate) unsafe fn octets<'a>(
    pointer: *const u8,
    len: usize,
    name: &str,
) -> Result<&'a [u8], Failure> {
    // SAFETY: the same duties.
    unsafe { array(pointer, len, name) }
}

/// The octets at `pointer`, to be written; NULL is allowed for none.
///
/// # Safety
/// As [`array_mut`].
pub(crate) unsafe fn octets_mut<'a>(
    pointer: *mut u8,
    len: usize,
    name: &str,
) -> Result<&'a mut [u8], Failure> {
    // SAFETY: the same duties.
    unsafe { array_mut(pointer, len, name) }
}

/// The numbers, or structs of numbers, at `pointer`; NULL is allowed for none.
///
/// # Safety
/// - `pointer` is NULL or points to `len` values, and any bits are a value of `T`.
/// - They stay, and nobody writes to them, for `'a`.
#[inline]
pub(crate) unsafe fn array<'a, T: Copy>(
    pointer: *const T,
    len: usize,
    name: &str,
) -> Result<&'a [T], Failure> {
    if check_array(pointer, len, name)? == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL and not longer than memory can be; the rest is the caller's duty.
    Ok(unsafe { slice::from_raw_parts(pointer, len) })
}

/// The numbers, or structs of numbers, at `pointer`, to be written; NULL is allowed for none.
///
/// # Safety
/// - `pointer` is NULL or points to `len` values, and any bits are a value of `T`.
/// - They stay, and nobody else reads or writes them, for `'a`.
#[inline]
pub(crate) unsafe fn array_mut<'a, T: Copy>(
    pointer: *mut T,
    len: usize,
    name: &str,
) -> Result<&'a mut [T], Failure> {
    if check_array(pointer, len, name)? == 0 {
        return Ok(&mut []);
    }
    // SAFETY: not NULL and not longer than memory can be; the rest is the caller's duty.
    Ok(unsafe { slice::from_raw_parts_mut(pointer, len) })
}

#[inline]
fn check_array<T>(pointer: *const T, len: usize, name: &str) -> Result<usize, Failure> {
    if pointer.is_null() && len > 0 {
        return Err(null(name));
    }
    let max = isize::MAX.unsigned_abs() / size_of::<T>().max(1);
    if len > max {
        return Err(too_long(len, name));
    }
    Ok(len)
}

#[cold]
fn too_long(len: usize, name: &str) -> Failure {
    Failure::new(
        ipip_status::InvalidArgument,
        format!("the length of {name} is {len}, more than memory can hold"),
    )
}

/// Proves that a struct of the header lies in memory as one of the core does, so that an array of the
/// one is an array of the other.
macro_rules! same_layout {
    ($ours:ty, $core:ty, $($field:ident),+) => {
        const _: () = {
            assert!(size_of::<$ours>() == size_of::<$core>());
            assert!(align_of::<$ours>() == align_of::<$core>());
            $(assert!(
                std::mem::offset_of!($ours, $field) == std::mem::offset_of!($core, $field)
            );)+
        };
    };
}
pub(crate) use same_layout;

/// The string at `pointer`.
///
/// # Safety
/// - `pointer` is NULL or points to a string that ends in a zero.
/// - It stays, and nobody writes to it, for `'a`.
pub(crate) unsafe fn text<'a>(pointer: *const c_char, name: &str) -> Result<&'a str, Failure> {
    // SAFETY: the same duties.
    let text = unsafe { optional_text(pointer, name) }?;
    required(text, name)
}

/// The string at `pointer`, `None` for NULL.
///
/// # Safety
/// As [`text`].
pub(crate) unsafe fn optional_text<'a>(
    pointer: *const c_char,
    name: &str,
) -> Result<Option<&'a str>, Failure> {
    if pointer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL; the rest is the caller's duty.
    let text = unsafe { CStr::from_ptr(pointer) };
    let text = text.to_str().map_err(|error| {
        Failure::new(
            ipip_status::NotUtf8,
            format!("{name} is not UTF-8: {error}"),
        )
    })?;
    Ok(Some(text))
}

/// A caller's buffer for a string.
pub(crate) struct TextBuffer<'a> {
    room: &'a mut [u8],
    needed_out: Out<'a, usize>,
}

impl<'a> TextBuffer<'a> {
    /// # Safety
    /// - `pointer` is NULL or points to `len` octets.
    /// - They stay, and nobody else reads or writes them, for `'a`.
    pub(crate) unsafe fn new(
        pointer: *mut c_char,
        len: usize,
        needed_out: Out<'a, usize>,
    ) -> Result<Self, Failure> {
        // SAFETY: the same duties; a char is an octet.
        let room = unsafe { octets_mut(pointer.cast(), len, "text") }?;
        Ok(Self { room, needed_out })
    }

    /// Writes `value` with a final zero, or nothing if it does not fit; says what it needs in both cases.
    pub(crate) fn fill(self, value: &str) -> Result<(), Failure> {
        let needed = value.len() + 1;
        if let Some(out) = self.needed_out {
            out.write(needed);
        }
        let found = self.room.len();
        let Some((end, room)) = self.room.get_mut(..needed).and_then(<[u8]>::split_last_mut) else {
            return Err(Failure::new(
                ipip_status::BufferTooSmall,
                format!("buffer for a string is {found} octets, needs {needed}"),
            ));
        };
        room.copy_from_slice(value.as_bytes());
        *end = 0;
        Ok(())
    }
}

/// Writes `values` into the caller's array, or nothing if they do not fit; says how many there are in
/// both cases.
///
/// # Safety
/// - `pointer` is NULL or points to room for `len` values.
/// - It stays, and nobody else reads or writes it, during the call.
pub(crate) unsafe fn fill_array<T: Copy>(
    pointer: *mut T,
    len: usize,
    needed_out: Option<&mut MaybeUninit<usize>>,
    values: &[T],
    name: &str,
) -> Result<(), Failure> {
    let needed_out = required(needed_out, "needed_out")?;
    required((!pointer.is_null() || len == 0).then_some(()), name)?;
    let needed = values.len();
    needed_out.write(needed);
    if needed > len {
        return Err(Failure::new(
            ipip_status::BufferTooSmall,
            format!("array {name} has room for {len}, needs {needed}"),
        ));
    }
    if needed > 0 {
        // SAFETY: not NULL, since it has room for at least one; the rest is the caller's duty.
        let room = unsafe { slice::from_raw_parts_mut(pointer.cast::<MaybeUninit<T>>(), needed) };
        for (place, value) in room.iter_mut().zip(values) {
            place.write(*value);
        }
    }
    Ok(())
}

#[cold]
fn null(name: &str) -> Failure {
    Failure::new(ipip_status::NullArgument, format!("{name} is NULL"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn a_panic_becomes_a_status() {
        let status = guard(|| panic!("lost {}", 7));
        assert_eq!(status, ipip_status::Panic);
        // SAFETY: ends in a zero and is valid until the next failure on this thread.
        let text = unsafe { CStr::from_ptr(error::ipip_last_error()) };
        assert_eq!(text, c"fault inside the library: lost 7");
        assert_eq!(or(3, || panic!("lost")), 3);
    }

    #[test]
    fn no_octets_need_no_pointer() {
        // SAFETY: no octets are read.
        let none = unsafe { octets(ptr::null(), 0, "buffer") };
        assert_eq!(none.unwrap(), &[] as &[u8]);
        // SAFETY: refused before anything is read.
        let failure = unsafe { octets(ptr::null(), 1, "buffer") }.unwrap_err();
        assert_eq!(failure.text, "buffer is NULL");
        // SAFETY: refused before anything is read.
        let failure = unsafe { octets(ptr::dangling(), usize::MAX, "buffer") }.unwrap_err();
        assert_eq!(failure.status, ipip_status::InvalidArgument);
        // SAFETY: refused before anything is read.
        let failure = unsafe { array(ptr::dangling::<u32>(), usize::MAX / 8 + 1, "numbers") };
        assert_eq!(failure.unwrap_err().status, ipip_status::InvalidArgument);
    }

    #[test]
    fn a_string_that_does_not_fit_is_not_begun() {
        let mut buffer = *b"....";
        for (len, written) in [(3, None), (4, Some(b"abc\0"))] {
            let mut needed = MaybeUninit::new(0);
            let pointer = buffer.as_mut_ptr().cast();
            // SAFETY: the buffer has at least `len` octets and is not used meanwhile.
            let room = unsafe { TextBuffer::new(pointer, len, Some(&mut needed)) }.unwrap();
            let result = room.fill("abc");
            assert_eq!(result.is_ok(), written.is_some());
            assert_eq!(&buffer, written.unwrap_or(b"...."));
            // SAFETY: initialised above.
            assert_eq!(unsafe { needed.assume_init() }, 4);
        }
    }
}
