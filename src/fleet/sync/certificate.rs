//! Why a broker's certificate is refused, in words for whoever has to put it right.

use std::error::Error;

use rustls::CertificateError;

/// What is wrong with the certificate, if that is behind this error.
pub(super) fn problem(error: &(dyn Error + 'static)) -> Option<String> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(rustls::Error::InvalidCertificate(wrong)) = error.downcast_ref::<rustls::Error>() {
            return Some(in_words(wrong));
        }
        // An error of the line passes over the one that it was made of when it is asked for its source.
        let inner = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        at = inner.map(|inner| inner as &(dyn Error + 'static)).or_else(|| error.source());
    }
    None
}

fn in_words(wrong: &CertificateError) -> String {
    match wrong {
        CertificateError::UnknownIssuer => {
            "its certificate is not signed by the authority that this box was given (--ca)".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name than the one in the address".to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired, or this box's clock is wrong".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate counts from later on, or this box's clock is wrong".to_owned()
        }
        other => format!("its certificate is not good: {other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_found_behind_other_errors() {
        let refused = rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let line = std::io::Error::new(std::io::ErrorKind::InvalidData, refused);
        assert!(problem(&std::io::Error::other(line)).unwrap().contains("not signed by the authority"));
        assert!(problem(&std::io::Error::other("no route")).is_none());
    }
}
