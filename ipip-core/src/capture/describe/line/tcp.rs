//! A TCP header in tcpdump's words.

use std::fmt::Write;

use crate::capture::describe::transport::{Tcp, TcpFlags};

/// Flags, numbers and options of a segment, and the length of its data.
pub(super) fn tcp_text(tcp: &Tcp<'_>) -> String {
    let mut text = format!("Flags [{}]", tcp.flags);
    let len = tcp.data_len;
    // Writing to a String cannot fail.
    let _ = match u32::try_from(len) {
        Ok(octets @ 1..) => {
            let end = tcp.sequence.wrapping_add(octets);
            write!(text, ", seq {}:{end}", tcp.sequence)
        }
        _ if tcp.flags.has(TcpFlags::SYN | TcpFlags::FIN | TcpFlags::RST) => {
            write!(text, ", seq {}", tcp.sequence)
        }
        _ => Ok(()),
    };
    if tcp.flags.has(TcpFlags::ACK) {
        let _ = write!(text, ", ack {}", tcp.acknowledgement);
    }
    let _ = write!(text, ", win {}", tcp.window);
    if tcp.flags.has(TcpFlags::URG) {
        let _ = write!(text, ", urg {}", tcp.urgent);
    }
    if !tcp.options.is_empty() {
        let _ = write!(text, ", options [{}]", options_text(tcp.options));
    }
    let _ = write!(text, ", length {len}");
    text
}

/// TCP options (RFC 9293 3.1, 7323, 2018) up to the first that is not whole.
fn options_text(mut octets: &[u8]) -> String {
    let number = |value: &[u8]| value.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    let mut texts = Vec::new();
    while let [kind, rest @ ..] = octets {
        if *kind == 0 {
            texts.push("eol".to_owned());
            break;
        }
        if *kind == 1 {
            texts.push("nop".to_owned());
            octets = rest;
            continue;
        }
        let len = rest.first().map_or(0, |len| usize::from(*len));
        let (Some(value), Some(after)) = (octets.get(2..len), octets.get(len..)) else {
            texts.push(format!("[bad opt {kind}]"));
            break;
        };
        texts.push(match (kind, value) {
            (2, [_, _]) => format!("mss {}", number(value)),
            (3, [shift]) => format!("wscale {shift}"),
            (4, []) => "sackOK".to_owned(),
            (5, blocks) if blocks.len() % 8 == 0 => {
                let pairs = blocks.chunks_exact(8).map(|pair| {
                    let (left, right) = pair.split_at(4);
                    format!("{{{}:{}}}", number(left), number(right))
                });
                format!("sack {} {}", blocks.len() / 8, pairs.collect::<String>())
            }
            (8, [_, _, _, _, echo @ ..]) if value.len() == 8 => {
                let (value, echo) = (number(&value[..4]), number(echo));
                format!("TS val {value} ecr {echo}")
            }
            _ => {
                let hex: String = value.iter().map(|octet| format!("{octet:02x}")).collect();
                format!("unknown-{kind} 0x{hex}")
            }
        });
        octets = after;
    }
    texts.join(",")
}
