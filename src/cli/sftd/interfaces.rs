//! Which addresses this machine's interfaces have, as Linux tells in `/proc/self/net`. Elsewhere there are none to be seen.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The name of the interface that stays in the machine.
const LOOPBACK: &str = "lo";

/// An address with the interface that has it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Interface {
    /// Empty where it is not known: an address without a network of its own.
    pub name: String,
    /// The address.
    pub address: IpAddr,
}

/// Asks the machine.
pub fn read() -> Vec<Interface> {
    let [tree, routes, six] = ["fib_trie", "route", "if_inet6"]
        .map(|name| fs::read_to_string(format!("/proc/self/net/{name}")).unwrap_or_default());
    let mut found = version_4(&tree, &networks(&routes));
    found.extend(six.lines().filter_map(version_6));
    found
}

/// An IPv4 network of an interface.
struct Network {
    name: String,
    first: u32,
    mask: u32,
}

/// Addresses are the leaves of the routing tree that are `/32 host LOCAL`; each is there once per table.
fn version_4(tree: &str, networks: &[Network]) -> Vec<Interface> {
    let mut found = Vec::new();
    let mut leaf = None;
    for line in tree.lines().map(str::trim) {
        if let Some(address) = line.strip_prefix("|-- ") {
            leaf = address.parse::<Ipv4Addr>().ok();
        }
        let Some(address) = leaf.filter(|_| line == "/32 host LOCAL") else {
            continue;
        };
        let interface = Interface {
            name: name_of(address, networks),
            address: address.into(),
        };
        if !found.contains(&interface) {
            found.push(interface);
        }
    }
    found
}

fn name_of(address: Ipv4Addr, networks: &[Network]) -> String {
    if address.is_loopback() {
        return LOOPBACK.to_owned();
    }
    let holds = |network: &&Network| u32::from(address) & network.mask == network.first;
    let nearest = networks.iter().filter(holds).max_by_key(|network| network.mask);
    nearest.map(|network| network.name.clone()).unwrap_or_default()
}

/// Lines of `route`: name, first address and, seventh after the name, mask; the default route has none.
fn networks(routes: &str) -> Vec<Network> {
    let network = |line: &str| {
        let mut fields = line.split_whitespace();
        let name = fields.next()?.to_owned();
        let first = word(fields.next()?)?;
        let mask = word(fields.nth(5)?).filter(|mask| *mask != 0)?;
        Some(Network { name, first, mask })
    };
    routes.lines().filter_map(network).collect()
}

/// The kernel prints the four bytes as they lie in memory, read as one number.
fn word(text: &str) -> Option<u32> {
    let number = u32::from_str_radix(text, 16).ok()?;
    Some(u32::from_be_bytes(number.to_ne_bytes()))
}

/// Lines of `if_inet6`: the address in hexadecimal first, the name last.
fn version_6(line: &str) -> Option<Interface> {
    let mut fields = line.split_whitespace();
    let address = u128::from_str_radix(fields.next()?, 16).ok()?;
    Some(Interface {
        name: fields.next_back()?.to_owned(),
        address: Ipv6Addr::from(address).into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 127.0.0.0/8 2 0 2\n\
        \x20          |-- 127.0.0.0\n              /8 host LOCAL\n           |-- 127.0.0.1\n              /32 host LOCAL\n\
        \x20          |-- 192.0.2.0\n              /24 link UNICAST\n           |-- 192.0.2.2\n              /32 host LOCAL\n\
        \x20       |-- 192.0.2.255\n           /32 link BROADCAST\n        |-- 203.0.113.9\n           /32 host LOCAL\n\
        Local:\n           |-- 192.0.2.2\n              /32 host LOCAL\n";
    const ROUTES: &str = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n\
        eth1\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
        eth1\t000000C0\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n\
        eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";

    #[test]
    #[cfg(target_endian = "little")]
    fn addresses_belong_to_the_interface_of_the_smallest_network() {
        let found: Vec<_> = version_4(TREE, &networks(ROUTES))
            .into_iter()
            .map(|interface| (interface.name, interface.address.to_string()))
            .collect();
        let expected = [("lo", "127.0.0.1"), ("eth0", "192.0.2.2"), ("", "203.0.113.9")];
        assert_eq!(
            found,
            expected.map(|(name, address)| (name.to_owned(), address.to_owned()))
        );
    }

    #[test]
    fn lines_of_version_6_have_address_and_name() {
        let interface = version_6("fd000000000000000000000000000002 04 40 00 82     eth0").unwrap();
        assert_eq!(
            (interface.name.as_str(), interface.address.to_string().as_str()),
            ("eth0", "fd00::2")
        );
        assert_eq!(version_6("x 04 40 00 82 eth0"), None);
        assert_eq!(version_6(""), None);
    }
}
