"""CleverTap's HTTP API on loopback: an account in memory, its limits and error texts, and faults to switch on."""
