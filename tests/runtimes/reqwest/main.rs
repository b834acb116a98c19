// SPDX-License-Identifier: Apache-2.0
//! `reqwest_client system|bundled URL` prints the body of URL, or the whole chain of causes, as `anyhow` would.

use std::error::Error;
use std::process::ExitCode;

fn get(roots: &str, url: &str) -> reqwest::Result<String> {
    let client = reqwest::blocking::Client::builder()
        .tls_built_in_native_certs(roots == "system")
        .tls_built_in_webpki_certs(roots == "bundled")
        .build()?;
    client.get(url).send()?.text()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, roots, url] = arguments.as_slice() else {
        eprintln!("usage: reqwest_client system|bundled URL");
        return ExitCode::from(2);
    };
    match get(roots, url) {
        Ok(body) => {
            print!("{body}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            let mut cause: Option<&dyn Error> = Some(&error);
            while let Some(told) = cause {
                eprintln!("{told}");
                cause = told.source();
            }
            ExitCode::FAILURE
        }
    }
}
