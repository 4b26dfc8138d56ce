//! First messages of TLS clients that no library of today would send: of versions and suites that must find no answer.

/// Suites of another time: without forward secrecy, or without authenticated encryption.
pub(super) const WEAK_SUITES: [u16; 10] = [
    0x0005, // TLS_RSA_WITH_RC4_128_SHA
    0x000a, // TLS_RSA_WITH_3DES_EDE_CBC_SHA
    0x002f, // TLS_RSA_WITH_AES_128_CBC_SHA
    0x009c, // TLS_RSA_WITH_AES_128_GCM_SHA256
    0x009e, // TLS_DHE_RSA_WITH_AES_128_GCM_SHA256
    0xc009, // TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA
    0xc013, // TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA
    0xc023, // TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256
    0xc027, // TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256
    0x00ff, // TLS_EMPTY_RENEGOTIATION_INFO_SCSV
];

/// Suites that a server of today accepts: a hello with these is refused for its version alone.
pub(super) const STRONG_SUITES: [u16; 3] = [0xc02b, 0xc02f, 0x00ff];

/// Type of the record in which a server refuses (RFC 5246 §6.2.1); a ServerHello comes in one of type 22.
pub(super) const ALERT_RECORD: u8 = 21;

/// A ClientHello (RFC 5246 §7.4.1.2) for this minor version at most: 1 is TLS 1.0, 2 is 1.1, 3 is 1.2.
pub(super) fn client_hello(minor: u8, suites: &[u16]) -> Vec<u8> {
    let extensions: &[u8] = &[
        0, 10, 0, 6, 0, 4, 0, 23, 0, 24, // supported_groups: secp256r1, secp384r1
        0, 11, 0, 2, 1, 0, // ec_point_formats: uncompressed
        0, 13, 0, 8, 0, 6, 4, 3, 8, 4, 4,
        1, // signature_algorithms: ECDSA, RSA-PSS and RSA PKCS#1, SHA-256
        0, 23, 0, 0, // extended_master_secret
    ];
    let mut body = vec![3, minor];
    // The random value proves nothing here.
    body.extend_from_slice(&[7; 32]);
    // No session identifier.
    body.push(0);
    let suites: Vec<u8> = suites.iter().flat_map(|suite| suite.to_be_bytes()).collect();
    body.extend_from_slice(&length(&suites));
    body.extend_from_slice(&suites);
    // No compression.
    body.extend_from_slice(&[1, 0]);
    body.extend_from_slice(&length(extensions));
    body.extend_from_slice(extensions);
    let handshake = [&[1, 0][..], &length(&body), &body].concat();
    [&[22, 3, 1][..], &length(&handshake), &handshake].concat()
}

fn length(octets: &[u8]) -> [u8; 2] {
    u16::try_from(octets.len()).unwrap_or(u16::MAX).to_be_bytes()
}
