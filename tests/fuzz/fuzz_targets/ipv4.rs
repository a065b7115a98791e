#![no_main]

libfuzzer_sys::fuzz_target!(|octets: &[u8]| ipip_fuzz::wire::ipv4(octets));
