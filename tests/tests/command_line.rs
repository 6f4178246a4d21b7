//! What a person reads on the command line: the first line of a start, and what is said of a name that leads nowhere.

use std::fs;

use anyhow::{Result, ensure};
use pixelrts_tests::{Home, Serve};

#[tokio::test]
async fn a_name_that_leads_nowhere_is_told_as_what_it_is_by_every_command() -> Result<()> {
    let home = Home::new()?;
    fs::create_dir(home.path().join("folder"))?;
    for command in ["boot", "fetch", "mount", "inspect", "verify", "unpack"] {
        for (source, code, what) in [
            ("nope.png", 3, "There is no file nope.png."),
            ("./nope/x", 3, "There is no file ./nope/x."),
            ("file:///nope.rts.png", 3, "There is no file /nope.rts.png."),
            ("folder", 3, "folder is a folder, and no image."),
            ("./folder", 3, "./folder is a folder, and no image."),
            ("ftp://host/x", 2, "ftp://host/x is no address of an image."),
            ("x@office", 3, "There is no server office."),
            ("x@", 2, "No server is named behind the @ of x@."),
            (" ", 2, "No image is named."),
            ("nope", 3, "There is no image nope."),
        ] {
            let mut words = vec!["--json", command, source];
            words.extend(matches!(command, "mount" | "unpack").then_some("place"));
            let problem = home.run(&words).await?.problem(code)?;
            ensure!(problem.what == what, "{command} {source}: {problem}");
            ensure!(problem.fix.contains("pixelrts "), "{command} {source} names a command that helps: {problem}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn the_first_line_of_a_start_is_the_address_to_open_and_nothing_is_written_for_the_person() -> Result<()> {
    let home = Home::new()?;
    let host = Serve::start(&home, &["--catalog", "later"]).await?;
    let log = fs::read_to_string(home.path().join("logs/0.log"))?;
    ensure!(log.starts_with(&format!("Open {} in a browser.", host.url)), "{log}");
    ensure!(log.contains("There is no folder later."), "{log}");
    host.stop().await?;
    ensure!(!home.path().join("config/pixelrts").exists());

    let path = home.path().join("config/pixelrts/config.yaml");
    let said = home.run(&["config", "init"]).await?.good()?;
    ensure!(said.contains("config.yaml was written") && fs::read_to_string(&path)?.contains("#listen:"), "{said}");
    fs::write(&path, "listen: 127.0.0.1:0\n")?;
    home.run(&["--json", "config", "init"]).await?.problem(6)?;
    ensure!(fs::read_to_string(&path)? == "listen: 127.0.0.1:0\n", "it is never replaced");
    Ok(())
}

#[tokio::test]
async fn the_quiet_doctor_prints_only_faults_and_an_image_with_an_odd_name_is_not_listed() -> Result<()> {
    let home = Home::new()?;
    let quiet = home.run(&["doctor", "-q"]).await?;
    ensure!(quiet.stdout.lines().all(|line| !line.starts_with("ok") && !line.starts_with("note")), "{}", quiet.stdout);
    fs::write(home.path().join("kernel"), "a kernel")?;
    let packed = home.run(&["pack", "--kernel", "kernel", "-o", "my.png"]).await?;
    ensure!(packed.code == Some(0) && packed.stderr.contains("mv my.png my.rts.png"), "{}", packed.stderr);
    let packed = home.run(&["pack", "--kernel", "kernel", "-o", "my.rts.png"]).await?;
    ensure!(packed.code == Some(0) && packed.stderr.is_empty(), "{}", packed.stderr);
    Ok(())
}
