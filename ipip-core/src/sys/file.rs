//! What a file's inode says, no more than is asked.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

/// How many names a file has, asked without its times.
///
/// Since 6.13 Linux gives the next write of a file whose times were asked a time of its own, where
/// several writes share one else; the next `fdatasync` must then write the inode too, which doubles what
/// it waits for (`fill_mg_cmtime`, `inode_set_ctime_current`). [`std::fs::metadata`] asks for the times.
pub(crate) fn links(file: &File) -> io::Result<u64> {
    let mut found = MaybeUninit::<libc::statx>::zeroed();
    // SAFETY: the descriptor is open as long as `file` is borrowed, the path is a string with its end, and
    // `found` has room for one `statx`, all that is written.
    let failed = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_NLINK,
            found.as_mut_ptr(),
        )
    };
    if failed == 0 {
        // SAFETY: zeroed before, and each field is a number, for which zero is a value.
        return Ok(unsafe { found.assume_init() }.stx_nlink.into());
    }
    // A kernel before 4.11, or a filter of system calls that does not know this one.
    Ok(file.metadata()?.nlink())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deleted_file_has_no_name_left() {
        let path = std::env::temp_dir().join(format!("ipip-links-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        assert_eq!(links(&file).unwrap(), 1);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(links(&file).unwrap(), 0);
    }
}
