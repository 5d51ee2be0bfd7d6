// How flags change a configuration that already has settings.

import { expect, test } from 'vitest'
import { CHECKED, makeInstalled } from './support/machine.ts'
import type { Place } from './support/place.ts'
import { patch, text } from './support/text.ts'

/** A configuration that a user edited. */
const CONFIGURATION = text`
  { ... }:
  {
    imports = [ ./vfio ];

    virtualisation.vfio = {
      enable = true; # until the new card comes
      IOMMUType = "amd";
      devices = [
        "10de:1b80" # the picture
        "10de:10f0" # the sound
      ];
      ignoreMSRs = true;
      users = [ "alice" ];
    };
    virtualisation.sharedMemoryFiles = {
      scream = {
        user = "alice";
        group = "users";
        mode = "0600";
      };
    };

    system.stateVersion = "26.05";
  }
  `

/** Expects that the flags make exactly this change. */
async function expectChange(
  place: Place,
  flags: readonly string[],
  stdout: string,
  count: string
): Promise<void> {
  expect(await place.run(['diff', 'configuration.nix', '-U', '1', ...flags])).toEqual({
    code: 1,
    stdout,
    stderr: text`
      /etc/nixos/configuration.nix: ${count}
      ${CHECKED}
      `
  })
}

test.concurrent('diff changes no setting that no flag names', async () => {
  const place = makeInstalled(CONFIGURATION.replace('enable = true;', 'enable = false;'))
  const flags = ['--blacklist-nvidia']
  await expectChange(
    place,
    flags,
    patch`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -13,2 +13,3 @@
           users = [ "alice" ];
      +    blacklistNvidia = true;
         };
      `,
    '1 change'
  )
})

test.concurrent('diff has nothing to do if all flags are set already', async () => {
  const place = makeInstalled(CONFIGURATION)
  const flags = [
    ...['--iommu', 'amd', '--device', '10DE:10F0', '--device', '10de:1b80', '--ignore-msrs'],
    ...['--user', 'alice', '--shared-memory', 'scream']
  ]
  expect(await place.run(['diff', 'configuration.nix', ...flags])).toEqual({
    code: 0,
    stdout: '',
    stderr: 'Nothing to do: /etc/nixos/configuration.nix is already up to date.\n'
  })
})

test.concurrent('a flag changes the value of an option', async () => {
  await expectChange(
    makeInstalled(CONFIGURATION),
    ['--iommu', 'intel', '--no-ignore-msrs'],
    patch`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -6,3 +6,3 @@
           enable = true; # until the new card comes
      -    IOMMUType = "amd";
      +    IOMMUType = "intel";
           devices = [
      @@ -11,3 +11,3 @@
           ];
      -    ignoreMSRs = true;
      +    ignoreMSRs = false;
           users = [ "alice" ];
      `,
    '2 changes'
  )
})

test.concurrent('the --no- form of a switch writes false', async () => {
  await expectChange(
    makeInstalled(CONFIGURATION),
    ['--no-clear-emulation-capabilities', '--no-acs-patch'],
    patch`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -13,2 +13,3 @@
           users = [ "alice" ];
      +    applyACSpatch = false;
         };
      @@ -22,2 +23,4 @@

      +  virtualisation.libvirtd.clearEmulationCapabilities = false;
      +
         system.stateVersion = "26.05";
      `,
    '2 changes'
  )
})

test.concurrent('--device replaces the list, and the remaining items keep their comments', async () => {
  await expectChange(
    makeInstalled(CONFIGURATION),
    ['--device', '10de:10f0', '--device', '1002:67df'],
    patch`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -8,4 +8,4 @@
           devices = [
      -      "10de:1b80" # the picture
             "10de:10f0" # the sound
      +      "1002:67df" # AMD Ellesmere [Radeon RX 470/480/570/570X/580/580X/590]
           ];
      `,
    '2 changes'
  )
})

test.concurrent('--address without --device removes the list of devices', async () => {
  const one = CONFIGURATION.replace(/devices = \[[^\]]*\];/, 'devices = [ "10de:1b80" ];')
  await expectChange(
    makeInstalled(one),
    ['--address', '01:00.0'],
    patch`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -7,5 +7,5 @@
           IOMMUType = "amd";
      -    devices = [ "10de:1b80" ];
           ignoreMSRs = true;
           users = [ "alice" ];
      +    addresses = [ "0000:01:00.0" ];
         };
      `,
    '2 changes'
  )
})

test.concurrent('--user and --device-acl add items to their lists', async () => {
  await expectChange(
    makeInstalled(CONFIGURATION),
    ['--user', 'bob', '--user', 'alice', '--device-acl', '/dev/kvmfr0'],
    patch`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -12,3 +12,3 @@
           ignoreMSRs = true;
      -    users = [ "alice" ];
      +    users = [ "alice" "bob" ];
         };
      @@ -22,2 +22,4 @@

      +  virtualisation.libvirtd.deviceACL = [ "/dev/kvmfr0" ];
      +
         system.stateVersion = "26.05";
      `,
    '2 changes'
  )
})

test.concurrent('--shared-memory changes only the given attributes, and makes the first user the owner of a new file', async () => {
  await expectChange(
    makeInstalled(CONFIGURATION),
    ['--shared-memory', 'scream::kvm', '--shared-memory', 'looking-glass'],
    patch`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -17,5 +17,11 @@
             user = "alice";
      -      group = "users";
      +      group = "kvm";
             mode = "0600";
           };
      +
      +    looking-glass = {
      +      user = "alice";
      +      group = "kvm";
      +      mode = "0660";
      +    };
         };
      `,
    '2 changes'
  )
})

test.concurrent('--hugepages writes all options of huge pages', async () => {
  await expectChange(
    makeInstalled(CONFIGURATION),
    ['--hugepages', '1g:16'],
    patch`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -22,2 +22,9 @@

      +  virtualisation.hugepages = {
      +    enable = true;
      +    defaultPageSize = "1G";
      +    pageSize = "1G";
      +    numPages = 16;
      +  };
      +
         system.stateVersion = "26.05";
      `,
    '1 change'
  )
})

test.concurrent('--bind hooks sets bindAtBoot to false', async () => {
  await expectChange(
    makeInstalled(CONFIGURATION),
    ['--bind', 'hooks', '--disable-efifb'],
    patch`
      --- a/configuration.nix
      +++ b/configuration.nix
      @@ -13,2 +13,4 @@
           users = [ "alice" ];
      +    bindAtBoot = false;
      +    disableEFIfb = true;
         };
      `,
    '1 change'
  )
})
