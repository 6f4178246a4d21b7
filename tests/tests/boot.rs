//! `pixelrts boot` in the foreground: a person's way from a file to a prompt. Nothing may stay behind.

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use pixelrts_tests::{Console, Home, LINUX, old_linux, sample, until};

const PROMPT: &str = "pixelrts# ";

/// Boots the sample to its prompt.
async fn booted(home: &Home) -> Result<Console> {
    let mut console = Console::boot(home, &[sample(LINUX)?])?;
    console.expect(PROMPT).await?;
    ensure!(home.processes()?.iter().any(|process| process.command.contains("qemu-system")), "QEMU runs");
    ensure!(home.run_directories().len() == 1, "{:?}", home.run_directories());
    Ok(console)
}

#[tokio::test]
async fn a_person_boots_types_a_command_and_powers_off() -> Result<()> {
    let home = Home::new()?;
    let mut console = booted(&home).await?;
    // The console echoes what is typed, so the expected text must not be part of it.
    console.type_line("echo $((6 * 7))-$(uname -s)").await?;
    console.expect("42-Linux").await?;
    console.expect(PROMPT).await?;
    console.type_line("poweroff -f").await?;
    let (_, status) = console.end().await?;
    ensure!(status.code() == Some(0), "{status}");
    home.expect_nothing_left().await
}

#[tokio::test]
async fn leaving_the_guests_shell_powers_the_machine_off() -> Result<()> {
    let home = Home::new()?;
    let mut console = booted(&home).await?;
    console.type_line("exit").await?;
    let (_, status) = console.end().await?;
    ensure!(status.code() == Some(0), "{status}");
    home.expect_nothing_left().await
}

#[tokio::test]
async fn an_interrupt_ends_the_machine_and_cleans_up() -> Result<()> {
    let home = Home::new()?;
    let console = booted(&home).await?;
    console.signal(Signal::SIGINT)?;
    let (_, status) = console.end().await?;
    ensure!(status.code() == Some(130), "{status}");
    home.expect_nothing_left().await
}

#[tokio::test]
async fn a_killed_boot_leaves_no_machine_and_the_next_command_cleans_up() -> Result<()> {
    let home = Home::new()?;
    let console = booted(&home).await?;
    console.signal(Signal::SIGKILL)?;
    console.end().await?;
    home.expect_no_machine().await?;
    ensure!(home.run_directories().len() == 1, "the killed process cannot remove its run directory");

    let mut console = booted(&home).await?;
    console.type_line("poweroff -f").await?;
    console.end().await?;
    home.expect_nothing_left().await
}

#[tokio::test]
async fn closing_standard_input_does_not_end_the_machine() -> Result<()> {
    let home = Home::new()?;
    let mut console = Console::boot(&home, &[sample(LINUX)?])?;
    console.close_input();
    console.expect(PROMPT).await?;
    console.signal(Signal::SIGTERM)?;
    console.end().await?;
    home.expect_nothing_left().await
}

#[tokio::test]
async fn a_kernel_panic_in_the_guest_is_a_failure() -> Result<()> {
    let home = Home::new()?;
    let image = sample(LINUX)?;
    let arguments = [image.as_os_str(), "--append".as_ref(), "rdinit=/absent init=/absent".as_ref()];
    let console = Console::boot(&home, &arguments)?;
    let (_, status) = console.end().await?;
    ensure!(status.code() == Some(1), "{status}");
    home.expect_nothing_left().await
}

#[tokio::test]
async fn the_debian_installer_starts_on_the_console() -> Result<()> {
    let home = Home::new()?;
    let mut console = Console::boot(&home, &[sample("debian-installer.rts.png")?])?;
    console.expect("Linux version").await?;
    console.expect("language").await?;
    console.signal(Signal::SIGINT)?;
    console.end().await?;
    home.expect_nothing_left().await
}

#[tokio::test]
async fn an_image_of_the_older_tools_boots() -> Result<()> {
    let home = Home::new()?;
    let mut console = Console::boot(&home, &[old_linux(&home).await?])?;
    console.expect(PROMPT).await?;
    console.type_line("poweroff -f").await?;
    let (_, status) = console.end().await?;
    ensure!(status.code() == Some(0), "{status}");
    home.expect_nothing_left().await
}

#[tokio::test]
async fn a_url_is_fetched_verified_and_booted() -> Result<()> {
    let (server_home, home) = (Home::new()?, Home::new()?);
    let folder = sample(LINUX)?;
    let folder = folder.parent().expect("a file is in a folder");
    let server = pixelrts_tests::Serve::catalog(&server_home, folder).await?;
    let entry = until("the server has scanned its folder", async || {
        Ok(server.own_catalog().await?.entries.into_iter().find(|entry| entry.id.as_str() == "linux-busybox"))
    })
    .await?;
    let url = format!("{}{}", server.url, pixelrts_shared::paths::image(&entry.sha256));
    let mut console = Console::boot(&home, &[url])?;
    console.expect(PROMPT).await?;
    console.type_line("poweroff -f").await?;
    let (_, status) = console.end().await?;
    ensure!(status.code() == Some(0), "{status}");
    home.expect_nothing_left().await
}
