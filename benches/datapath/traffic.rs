//! What goes from one namespace to another, and how fast.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use ipip_core::sys::netns::Netns;

const TIME: Duration = Duration::from_millis(150);
/// Datagrams under way at once: enough to keep every queue busy, few enough for the shortest of them.
const WINDOW: u32 = 64;
const ROUND_TRIPS: usize = 500;

/// Gb/s of one TCP connection.
pub(crate) fn tcp(from: &Netns, to: &Netns, addr: Ipv4Addr) -> f64 {
    let listener = to.enter(|| TcpListener::bind((addr, 0))).unwrap().unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut sender = from
        .enter(|| TcpStream::connect((addr, port)))
        .unwrap()
        .unwrap();
    let (mut receiver, _) = listener.accept().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let (start, block) = (Instant::now(), vec![7; 1 << 17]);
            while start.elapsed() < TIME + TIME / 4 {
                sender.write_all(&block).unwrap();
            }
        });
        let mut block = vec![0; 1 << 18];
        // The connection takes its time to find its pace.
        let begin = Instant::now();
        while begin.elapsed() < TIME / 4 {
            let len = receiver.read(&mut block).unwrap();
            assert_ne!(len, 0, "the connection ended");
        }
        let (start, mut octets) = (Instant::now(), 0_u64);
        loop {
            let len = receiver.read(&mut block).unwrap();
            if len == 0 {
                break;
            }
            octets += u64::try_from(len).unwrap();
        }
        let bits = u32::try_from(octets / 125).unwrap();
        f64::from(bits) / 1e6 / start.elapsed().as_secs_f64()
    })
}

/// Thousands of datagrams of 64 octets a second, none of them lost: the sender waits while too many are under way.
///
/// The receiver asks again and again instead of sleeping: to wake it costs the sender's processor a third of what a
/// datagram takes in all (`perf record`: `sock_def_readable` 12 of `udp_sendmsg` 36), which is none of a path's.
pub(crate) fn datagrams(from: &Netns, to: &Netns, addr: Ipv4Addr) -> f64 {
    let (sender, receiver) = sockets(from, to, addr);
    receiver.set_nonblocking(true).unwrap();
    let received = AtomicU32::new(0);
    let is_over = AtomicBool::new(false);
    let (sent, time) = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 128];
            while !is_over.load(Ordering::Relaxed) {
                match receiver.recv(&mut buffer) {
                    Ok(_) => drop(received.fetch_add(1, Ordering::Release)),
                    // Some microseconds, so that the two do not meet at the socket's lock all the time.
                    Err(_) => (0..64).for_each(|_| std::hint::spin_loop()),
                }
            }
        });
        let (start, mut sent) = (Instant::now(), 0_u32);
        let is_full = |sent: u32| sent - received.load(Ordering::Acquire) >= WINDOW;
        while start.elapsed() < TIME {
            if is_full(sent) {
                std::thread::yield_now();
            } else {
                sender.send(&[7; 64]).unwrap();
                sent += 1;
            }
        }
        let time = start.elapsed();
        while received.load(Ordering::Acquire) < sent && start.elapsed() < 2 * TIME {
            std::thread::yield_now();
        }
        is_over.store(true, Ordering::Relaxed);
        (sent, time)
    });
    let lost = sent - received.load(Ordering::Acquire);
    assert_eq!(lost, 0, "datagrams lost of {sent}");
    f64::from(sent) / 1e3 / time.as_secs_f64()
}

/// Microseconds from a datagram of 64 octets to its answer by another thread, the median. Both share a processor, as
/// with netperf's `-T 0,0`: two of them that wake each other take most of the time, and in some rounds several times what
/// they take in others, which is none of a path's.
pub(crate) fn round_trip(from: &Netns, to: &Netns, addr: Ipv4Addr) -> Option<f64> {
    let (here, there) = sockets(from, to, addr);
    let (mut buffer, mut others) = ([0; 128], [0; 128]);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            stay_on_one_processor();
            while let Ok((len, from)) = there.recv_from(&mut others) {
                there.send_to(&others[..len], from).unwrap();
            }
        });
        let measure = move || {
            stay_on_one_processor().then(|| {
                median_time(|| {
                    here.send(&[7; 64]).unwrap();
                    here.recv(&mut buffer).unwrap();
                })
            })
        };
        scope.spawn(measure).join().unwrap()
    })
}

/// The same without any wait for a thread: one is at both ends, and what the kernel carries has arrived when the send
/// returns. It shows what a path costs, and not what a program sees of it.
pub(crate) fn alone(from: &Netns, to: &Netns, addr: Ipv4Addr) -> f64 {
    let (here, there) = sockets(from, to, addr);
    let mut buffer = [0; 128];
    median_time(|| {
        here.send(&[7; 64]).unwrap();
        let (len, from) = there.recv_from(&mut buffer).unwrap();
        there.send_to(&buffer[..len], from).unwrap();
        here.recv(&mut buffer).unwrap();
    })
}

/// Microseconds.
fn median_time(mut work: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = Vec::with_capacity(ROUND_TRIPS);
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        work();
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    times[ROUND_TRIPS / 2]
}

/// Binds the calling thread to the first processor; whether that could be done.
fn stay_on_one_processor() -> bool {
    let thread = std::fs::read_link("/proc/thread-self").unwrap();
    let number = thread.file_name().unwrap();
    let bound = Command::new("taskset")
        .args(["-c", "-p", "0"])
        .arg(number)
        .output();
    bound.is_ok_and(|bound| bound.status.success())
}

fn sockets(from: &Netns, to: &Netns, addr: Ipv4Addr) -> (UdpSocket, UdpSocket) {
    let there = to.enter(|| UdpSocket::bind((addr, 0))).unwrap().unwrap();
    let here = from
        .enter(|| UdpSocket::bind("0.0.0.0:0"))
        .unwrap()
        .unwrap();
    here.connect(there.local_addr().unwrap()).unwrap();
    for socket in [&here, &there] {
        let patience = Some(Duration::from_millis(200));
        socket.set_read_timeout(patience).unwrap();
    }
    (here, there)
}
