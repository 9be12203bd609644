//! The person who runs a command, as the audit log records them.

use crate::hostname::hostname;
use std::ffi::CStr;
use std::mem::MaybeUninit;

/// `USER@HOST`. Under `sudo`, the user who called it.
pub(crate) fn operator() -> String {
    let named = ["SUDO_USER", "USER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    // SAFETY: getuid takes no argument and can't fail.
    let user = named.unwrap_or_else(|| name_of(unsafe { libc::getuid() }));
    format!("{user}@{}", hostname())
}

/// Maximum bytes of a passwd entry.
const ENTRY_BYTES_MAX: usize = 16 << 10;

/// The name of a user, or `uid-N` for one without a passwd entry, as in containers.
fn name_of(uid: libc::uid_t) -> String {
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut texts = vec![0_u8; ENTRY_BYTES_MAX];
    let mut found = std::ptr::null_mut();
    // SAFETY: each pointer is to memory of this function that is valid until it returns, and `texts` is
    // as long as the length that is passed.
    let failed = unsafe {
        libc::getpwuid_r(
            uid,
            entry.as_mut_ptr(),
            texts.as_mut_ptr().cast(),
            texts.len(),
            &raw mut found,
        )
    };
    if failed != 0 || found.is_null() {
        return format!("uid-{uid}");
    }
    // SAFETY: the call succeeded, so `found` points to `entry`, which is initialized, and whose name is a
    // string within `texts` that ends in a zero.
    let name = unsafe { CStr::from_ptr((*found).pw_name) };
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_without_passwd_entry_is_named_by_uid() {
        assert_eq!(name_of(0), "root");
        assert_eq!(name_of(4_000_000_123), "uid-4000000123");
    }
}
