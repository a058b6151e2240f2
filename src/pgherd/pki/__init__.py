"""Certificate authorities and certificates: decide says when, pki does."""
