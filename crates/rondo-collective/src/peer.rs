//! A rank's host and process, as the program prints them.

use std::fmt;

/// The size in bytes of a [`Peer`] that is sent: the process id, followed by the host's name padded
/// with zeros.
#[cfg(any(feature = "mpi", test))]
pub(crate) const RECORD: usize = 4 + 252;

/// A rank with its host and process, printed as "rank 3 (node07, pid 4711)".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The rank's number, from 0.
    pub rank: usize,
    /// The name of the rank's host.
    pub host: String,
    /// The rank's process id on this host.
    pub pid: u32,
}

#[cfg(any(feature = "mpi", test))]
impl Peer {
    /// Returns the process id and the host name as bytes. A host name that is too long is cut
    /// between characters.
    pub(crate) fn to_record(&self) -> [u8; RECORD] {
        let mut record = [0; RECORD];
        record[..4].copy_from_slice(&self.pid.to_le_bytes());
        let mut length = self.host.len().min(RECORD - 4);
        while !self.host.is_char_boundary(length) {
            length -= 1;
        }
        record[4..4 + length].copy_from_slice(&self.host.as_bytes()[..length]);
        record
    }

    /// Reads the records of all ranks in order.
    pub(crate) fn from_records(records: &[u8]) -> Vec<Peer> {
        let peer = |(rank, record): (usize, &[u8])| {
            let (pid, host) = record.split_at(4);
            let host = host.split(|&byte| byte == 0).next().unwrap_or_default();
            Peer {
                rank,
                host: String::from_utf8_lossy(host).into_owned(),
                pid: u32::from_le_bytes([pid[0], pid[1], pid[2], pid[3]]),
            }
        };
        records.chunks_exact(RECORD).enumerate().map(peer).collect()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} ({}, pid {})", self.rank, self.host, self.pid)
    }
}

/// Returns the number of hosts that the ranks run on.
pub fn hosts(peers: &[Peer]) -> usize {
    let mut names: Vec<&str> = peers.iter().map(|peer| peer.host.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    names.len()
}

/// Returns how many ranks before `rank` are on the same host, and how many ranks this host has.
///
/// # Panics
///
/// Panics where there is no such rank.
pub fn local(peers: &[Peer], rank: usize) -> (usize, usize) {
    let same = |peer: &&Peer| peer.host == peers[rank].host;
    let before = peers[..rank].iter().filter(same).count();
    (before, peers.iter().filter(same).count())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(hosts: &[&str]) -> Vec<Peer> {
        let peer = |(rank, host): (usize, &&str)| Peer {
            rank,
            host: (*host).to_owned(),
            pid: 100 + rank as u32,
        };
        hosts.iter().enumerate().map(peer).collect()
    }

    #[test]
    fn records_come_back() {
        let all = peers(&["node1", "node2", ""]);
        let records: Vec<u8> = all.iter().flat_map(Peer::to_record).collect();
        assert_eq!(Peer::from_records(&records), all);
    }

    #[test]
    fn a_long_name_is_cut_at_a_character() {
        let peer = Peer {
            rank: 0,
            host: "ä".repeat(200),
            pid: 1,
        };
        assert_eq!(
            Peer::from_records(&peer.to_record())[0].host,
            "ä".repeat(126)
        );
    }

    #[test]
    fn ranks_are_counted_on_their_host() {
        let all = peers(&["a", "b", "a", "a", "b"]);
        assert_eq!(hosts(&all), 2);
        let places: Vec<_> = (0..5).map(|rank| local(&all, rank)).collect();
        assert_eq!(places, [(0, 3), (0, 2), (1, 3), (2, 3), (1, 2)]);
    }
}
