//! Definitions of `pthread_create` and `pthread_setname_np` that take precedence over the C library's.
//!
//! The linker resolves a symbol by the first definition that it finds, and the program's own come before
//! shared libraries. So every thread of the program passes here, including those that C code and shared
//! libraries start. These functions forward to the C library's.

use crate::current;
use crate::table::Tag;
use libc::{c_char, c_int, c_void, pthread_attr_t, pthread_t};
use std::ffi::CStr;

type Start = extern "C" fn(*mut c_void) -> *mut c_void;
type Create =
    unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Start, *mut c_void) -> c_int;
type SetName = unsafe extern "C" fn(pthread_t, *const c_char) -> c_int;

#[cfg(not(all(target_env = "musl", target_feature = "crt-static")))]
mod next {
    //! The C library's functions in a program that loads it.

    use super::{Create, SetName};
    use std::ffi::CStr;
    use std::ptr::null_mut;
    use std::sync::atomic::{AtomicPtr, Ordering};

    #[cfg(target_feature = "crt-static")]
    compile_error!("the feature `threads` of davy-tag does not support a static glibc");

    fn find(found: &AtomicPtr<libc::c_void>, name: &CStr) -> *mut libc::c_void {
        let known = found.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: only looks up a symbol.
        let next = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        found.store(next, Ordering::Relaxed);
        next
    }

    pub(super) fn create() -> Option<Create> {
        static FOUND: AtomicPtr<libc::c_void> = AtomicPtr::new(null_mut());
        let next = find(&FOUND, c"pthread_create");
        // SAFETY: null, or a function of this type.
        unsafe { std::mem::transmute::<*mut libc::c_void, Option<Create>>(next) }
    }

    pub(super) fn set_name() -> Option<SetName> {
        static FOUND: AtomicPtr<libc::c_void> = AtomicPtr::new(null_mut());
        let next = find(&FOUND, c"pthread_setname_np");
        // SAFETY: null, or a function of this type.
        unsafe { std::mem::transmute::<*mut libc::c_void, Option<SetName>>(next) }
    }
}

#[cfg(all(target_env = "musl", target_feature = "crt-static"))]
mod next {
    //! musl's own function in a static program: `pthread_create` is a weak alias of it.

    use super::{Create, SetName, Start, c_int, c_void, pthread_attr_t, pthread_t};
    use libc::c_char;

    unsafe extern "C" {
        fn __pthread_create(
            thread: *mut pthread_t,
            attributes: *const pthread_attr_t,
            start: Start,
            argument: *mut c_void,
        ) -> c_int;
    }

    pub(super) fn create() -> Option<Create> {
        Some(__pthread_create)
    }

    /// musl has no second name for its function; this does the same for the calling thread.
    pub(super) fn set_name() -> Option<SetName> {
        Some(set_own_name)
    }

    unsafe extern "C" fn set_own_name(thread: pthread_t, name: *const c_char) -> c_int {
        // SAFETY: `pthread_self` has no preconditions, and the name is the caller's, which ends with a zero.
        unsafe {
            if thread != libc::pthread_self() {
                return libc::ENOSYS;
            }
            if libc::strnlen(name, 16) > 15 {
                return libc::ERANGE;
            }
            libc::prctl(libc::PR_SET_NAME, name);
        }
        0
    }
}

/// What a new thread executes, and the tag that it inherits.
struct Inherited {
    tag: Tag,
    start: Start,
    argument: *mut c_void,
}

extern "C" fn start(inherited: *mut c_void) -> *mut c_void {
    // SAFETY: from `Box::into_raw` in `pthread_create`, and passed to this thread only.
    let inherited = unsafe { Box::from_raw(inherited.cast::<Inherited>()) };
    let Inherited {
        tag,
        start,
        argument,
    } = *inherited;
    crate::thread::inherit(tag);
    start(argument)
}

/// Starts a thread whose default tag is the tag of the calling thread.
///
/// # Safety
/// As documented by POSIX.
#[unsafe(no_mangle)]
#[expect(unreachable_pub, reason = "found by the linker")]
pub unsafe extern "C" fn pthread_create(
    thread: *mut pthread_t,
    attributes: *const pthread_attr_t,
    begin: Start,
    argument: *mut c_void,
) -> c_int {
    let Some(create) = next::create() else {
        return libc::EAGAIN;
    };
    let tag = current::current();
    if tag.is_untagged() {
        // SAFETY: the caller's arguments, unchanged.
        return unsafe { create(thread, attributes, begin, argument) };
    }
    let inherited = current::as_profiler(|| {
        Box::into_raw(Box::new(Inherited {
            tag,
            start: begin,
            argument,
        }))
    });
    // SAFETY: the caller's arguments, except for a start function that runs the caller's.
    let result = unsafe { create(thread, attributes, start, inherited.cast()) };
    if result != 0 {
        // SAFETY: no thread was started that could have taken it.
        drop(unsafe { Box::from_raw(inherited) });
    }
    result
}

/// Names a thread, and gives it the default tag of its name if it is the calling one.
///
/// # Safety
/// As documented by the C library.
#[unsafe(no_mangle)]
#[expect(unreachable_pub, reason = "found by the linker")]
pub unsafe extern "C" fn pthread_setname_np(thread: pthread_t, name: *const c_char) -> c_int {
    let Some(set_name) = next::set_name() else {
        return libc::ENOSYS;
    };
    // SAFETY: the caller's arguments.
    let result = unsafe { set_name(thread, name) };
    // SAFETY: has no preconditions.
    if result == 0 && thread == unsafe { libc::pthread_self() } {
        // SAFETY: the caller's name, which ends with a zero.
        crate::thread::named(unsafe { CStr::from_ptr(name) }.to_bytes());
    }
    result
}
