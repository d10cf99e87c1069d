//! HTTP for clients and proxies: signalling, health, and the demo page.
