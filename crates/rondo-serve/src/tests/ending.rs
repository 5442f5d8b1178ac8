//! How a server ends.

use std::time::Duration;

use serde_json::json;

use crate::limits::Limits;
use crate::serve::Served;
use crate::testing::{Client, Server, asked};

/// Starts a server with one request in progress and one that waits.
fn loaded(grace: Duration) -> (Server, Client, Client) {
    let server = Server::start(Limits {
        grace,
        ..Limits::default()
    });
    server.hold(true);
    let begin = |wanted: &str| {
        let mut client = server.connect();
        client.post(&asked(json!({})).to_string());
        let wanted = wanted.to_owned();
        server.wait_for(|health| health[&wanted] == json!(true) || health[&wanted] == json!(1));
        client
    };
    let (first, second) = (begin("busy"), begin("waiting"));
    (server, first, second)
}

#[test]
fn the_request_in_work_is_answered_and_those_that_wait_are_refused() {
    let (server, first, second) = loaded(Duration::from_mins(10));
    server.stop();
    // The server stops listening after it has noticed that it should end.
    while std::net::TcpStream::connect(server.address).is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    server.hold(false);
    assert_eq!(first.answer().status, 200);
    let refused = second.answer();
    refused.refused(503, "", "the server is ending");
    assert!(refused.head.contains("retry-after"), "{refused:?}");
    let served = server.ended();
    assert_eq!(
        served,
        Served {
            answered: 1,
            refused: 1,
            cancelled: 0,
            dropped: 1
        }
    );
}

#[test]
fn a_request_that_takes_longer_than_it_is_given_is_dropped() {
    let (server, first, second) = loaded(Duration::ZERO);
    server.stop();
    for client in [first, second] {
        client.answer().refused(503, "", "the server is ending");
    }
    assert_eq!(server.ended().dropped, 2);
}

#[test]
fn a_server_without_requests_ends_at_once_also_with_idle_connections() {
    let server = Server::start(Limits::default());
    let idle = server.connect();
    assert_eq!(server.post(&asked(json!({}))).status, 200);
    let served = server.ended();
    assert_eq!((served.answered, served.dropped), (1, 0));
    assert_eq!(idle.answer().status, 0);
}
