"""A small internet on loopback to learn and test with: a DNS server, mail hosts and a population with known truth."""
