//! What tcpdump sees of the packets that the library sends, makes or captures.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ipip_core::sys::netns::Netns;

use super::scratch::Scratch;
use super::shell::{inside, soon};

/// A running tcpdump that writes to a file.
pub(crate) struct Tcpdump {
    child: Child,
    file: PathBuf,
    _scratch: Scratch,
}

impl Tcpdump {
    /// Starts it and returns once it listens.
    pub(crate) fn start(netns: &Netns, interface: &str, filter: &str) -> Self {
        let at_once = ["-U", "--immediate-mode", "-s", "2048"];
        let filter = filter.split_whitespace();
        Self::run(netns, interface, at_once.into_iter().chain(filter))
    }

    /// Starts one for many frames, which keeps `snap_len` octets of each and does not hurry; see
    /// [`Self::settle`].
    pub(crate) fn in_bulk(netns: &Netns, interface: &str, snap_len: u32) -> Self {
        Self::run(netns, interface, ["-s", &snap_len.to_string()])
    }

    fn run<'a>(netns: &Netns, interface: &str, words: impl IntoIterator<Item = &'a str>) -> Self {
        let scratch = Scratch::new();
        let file = scratch.file("oracle.pcap");
        let mut child = inside(netns, "tcpdump")
            .args(["-Z", "root", "-n", "-B", "16384", "-i", interface])
            .args(["--time-stamp-precision=nano", "-w"])
            .arg(&file)
            .args(words)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let mut said = String::new();
        let mut lines = BufReader::new(stderr);
        while !said.contains("listening on") {
            let len = lines.read_line(&mut said).unwrap();
            assert_ne!(len, 0, "tcpdump did not start: {said}");
        }
        // Keeps the pipe open, or tcpdump's last words end it.
        std::thread::spawn(move || lines.lines().for_each(drop));
        Self {
            child,
            file,
            _scratch: scratch,
        }
    }

    /// Waits until it has written `count` frames, ends it as Ctrl-C would, and returns all its
    /// frames, octets only.
    pub(crate) fn stop_at(mut self, count: usize) -> Vec<Vec<u8>> {
        soon("tcpdump has written the frames", || {
            frames_of(&self.file).is_some_and(|frames| frames.len() >= count)
        });
        // Too many would be a fault as well.
        std::thread::sleep(Duration::from_millis(30));
        interrupt(&mut self.child);
        frames_of(&self.file).expect("a capture file")
    }

    /// Ends it once its file has not grown for longer than it keeps frames back (a second), and gives the
    /// file, which is there as long as this value.
    pub(crate) fn settle(&mut self) -> &Path {
        let len = || std::fs::metadata(&self.file).map_or(0, |file| file.len());
        let mut before = 0;
        while before != len() {
            before = len();
            std::thread::sleep(Duration::from_millis(1500));
        }
        interrupt(&mut self.child);
        &self.file
    }
}

impl Drop for Tcpdump {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn interrupt(child: &mut Child) {
    let pid = child.id().to_string();
    Command::new("kill").args(["-INT", &pid]).status().unwrap();
    child.wait().unwrap();
}

/// The frames of a classic pcap file with nanoseconds, in this machine's byte order; `None` before
/// its header is written.
fn frames_of(file: &Path) -> Option<Vec<Vec<u8>>> {
    let octets = std::fs::read(file).ok()?;
    let number = |at: usize| {
        let four = octets.get(at..at + 4).and_then(|four| four.try_into().ok());
        four.map(u32::from_ne_bytes)
    };
    assert_eq!(number(0)?, 0xa1b2_3c4d, "magic number");
    let (mut at, mut frames) = (24, Vec::new());
    while let Some(len) = number(at + 8) {
        let end = at + 16 + usize::try_from(len).unwrap();
        // A file that is still being written may end inside a frame.
        let Some(frame) = octets.get(at + 16..end) else {
            break;
        };
        frames.push(frame.to_vec());
        at = end;
    }
    Some(frames)
}
