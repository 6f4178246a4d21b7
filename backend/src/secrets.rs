//! What must stay with its owner: the token of the API, the key of a TLS certificate.
