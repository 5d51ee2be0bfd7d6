# An ASRock X570 Pro4 with a Ryzen 7 3700X. The Radeon Pro WX3100 shows the desktop; the
# GeForce GTX 1080 at 0000:01:00 is for a Windows guest.
{ config, pkgs, ... }:

{
  imports = [
    ./hardware-configuration.nix
  ];

  boot.loader.systemd-boot.enable = true;
  boot.loader.efi.canTouchEfiVariables = true;

  boot.kernelParams = [
    "quiet"
    "loglevel=3" # the splash screen is prettier
  ];

  networking.hostName = "workstation";
  networking.networkmanager.enable = true;

  time.timeZone = "Europe/Berlin";
  i18n.defaultLocale = "de_DE.UTF-8";

  services.xserver = {
    enable = true;
    videoDrivers = [ "amdgpu" ];
    desktopManager.gnome.enable = true;
    displayManager.gdm.enable = true;
  };

  # sound
  security.rtkit.enable = true;
  services.pipewire = {
    enable = true;
    alsa.enable = true;
    pulse.enable = true;
  };

  users.users.alice = {
    isNormalUser = true;
    description = "Alice";
    extraGroups = [ "wheel" "networkmanager" ];
    packages = with pkgs; [
      firefox
      # thunderbird
      looking-glass-client
    ];
  };

  environment.systemPackages = with pkgs; [
    git
    vim # the editor
    virt-manager
  ];

  virtualisation.docker.enable = true;

  # This value determines the NixOS release from which the default settings for stateful data
  # on this machine were taken. Leave it as it is.
  system.stateVersion = "26.05";
}
