//! Who is at the keyboard.

use std::ffi::CStr;
use std::mem::MaybeUninit;

/// The user and the machine, as an audit tells them.
pub(crate) fn who() -> String {
    let said = ["SUDO_USER", "USER"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|user| !user.is_empty()));
    // SAFETY: it takes nothing, and can't fail.
    let user = said.unwrap_or_else(|| name_of(unsafe { libc::getuid() }));
    format!("{user}@{}", crate::process::host())
}

/// Bytes of a line of the list of users, at most.
const LINE_MAX: usize = 16 << 10;

/// The name of a user; the number of one without a name, as there are in containers.
fn name_of(uid: libc::uid_t) -> String {
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut texts = vec![0_u8; LINE_MAX];
    let mut found = std::ptr::null_mut();
    // SAFETY: each pointer is to memory of this function that lives until it returns, and `texts` is as
    // long as is said.
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
    // SAFETY: the call went well, so `found` points to `entry`, which is filled, and whose name is a text
    // within `texts` that ends in a zero.
    let name = unsafe { CStr::from_ptr((*found).pw_name) };
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_without_a_name_is_a_number() {
        assert_eq!(name_of(0), "root");
        assert_eq!(name_of(4_000_000_123), "uid-4000000123");
    }
}
