import { spawnSync } from 'node:child_process'
import { installedModules } from './modules.ts'
import { makePlace, type Place } from './place.ts'
import { patch } from './text.ts'

/** The flags for the machine of the example. */
export const FLAGS = [
  ...['--iommu', 'amd', '--device', '10de:1b80', '--device', '10de:10f0'],
  ...['--blacklist-nvidia', '--ignore-msrs', '--user', 'alice'],
  ...['--shared-memory', 'looking-glass', '--shared-memory', 'scream']
]

/** The change that these flags make to the example configuration. */
export const CHANGE: string = patch`
  --- a/configuration.nix
  +++ b/configuration.nix
  @@ -5,6 +5,7 @@
   {
     imports = [
       ./hardware-configuration.nix
  +    ./vfio
     ];

     boot.loader.systemd-boot.enable = true;
  @@ -55,6 +56,23 @@

     virtualisation.docker.enable = true;

  +  virtualisation.vfio = {
  +    enable = true;
  +    IOMMUType = "amd";
  +    devices = [
  +      "10de:1b80" # NVIDIA GP104 [GeForce GTX 1080]
  +      "10de:10f0" # NVIDIA GP104 High Definition Audio Controller
  +    ];
  +    blacklistNvidia = true;
  +    ignoreMSRs = true;
  +    users = [ "alice" ];
  +  };
  +
  +  virtualisation.sharedMemoryFiles = {
  +    looking-glass = { user = "alice"; group = "kvm"; mode = "0660"; };
  +    scream = { user = "alice"; group = "kvm"; mode = "0660"; };
  +  };
  +
     # This value determines the NixOS release from which the default settings for stateful data
     # on this machine were taken. Leave it as it is.
     system.stateVersion = "26.05";
  `

/** The line about the check with Nix; it depends on whether Nix is installed. */
export const CHECKED: string =
  spawnSync('sh', ['-c', 'command -v nix-instantiate']).status === 0
    ? 'Checked: parses (nix-instantiate).'
    : 'Checked: parses (built-in parser only; nix-instantiate was not found).'

/** A place with this configuration and the installed modules. */
export function makeInstalled(configuration: string): Place {
  const place = makePlace({ 'configuration.nix': configuration })
  for (const [name, it] of Object.entries(installedModules())) place.write(`vfio/${name}`, it)
  return place
}
