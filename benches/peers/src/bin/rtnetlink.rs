//! `rtnetlink COUNT INDEX`: adds COUNT routes through a device in the namespace that it is run in, by the crate rtnetlink, 64 at a time, and
//! prints the seconds. Called by `benches/run netlink`; one thread, which is its fastest way.

use std::net::Ipv4Addr;
use std::time::Instant;

use futures_util::stream::{self, StreamExt};
use rtnetlink::RouteMessageBuilder;
use rtnetlink::packet_route::route::{RouteFlags, RouteProtocol};

const AT_A_TIME: usize = 64;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let count: u32 = std::env::args().nth(1).and_then(|n| n.parse().ok()).expect("a number of routes");
    let device: u32 = std::env::args().nth(2).and_then(|n| n.parse().ok()).expect("the index of a device");
    let (connection, handle, _) = rtnetlink::new_connection().expect("a socket");
    tokio::spawn(connection);
    let start = Instant::now();
    let routes = stream::iter(0..count).map(|number| {
        let mut message = RouteMessageBuilder::<Ipv4Addr>::new()
            .destination_prefix(Ipv4Addr::from_bits(0x0a00_0000 + number * 64), 26)
            .gateway(Ipv4Addr::new(172, 18, 0, 2))
            .output_interface(device)
            .protocol(RouteProtocol::Bird)
            .build();
        message.header.flags |= RouteFlags::Onlink;
        handle.route().add(message).execute()
    });
    let results: Vec<_> = routes.buffer_unordered(AT_A_TIME).collect().await;
    results.into_iter().for_each(|result| result.expect("a route"));
    println!("{}", start.elapsed().as_secs_f64());
}
