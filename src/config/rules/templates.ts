/** Dex's page templates: SHA-256 of each as shipped with 2.45.1 and as of August 2026, and the view that does its work here. */
export const DEX_TEMPLATES: Record<string, { hashes: string[]; view?: string }> = {
  'approval.html': {
    hashes: ['13866db1a2fd799ea998c995b66cf2fd1c7a259a8b7552def134b85de21ad6b4'],
    view: 'views/approval.eta',
  },
  'device.html': {
    hashes: ['1e8360eb5a07219a2805f0bb62f39dc8f5bc92ee17c981ecdb59e8b33049df84'],
    view: 'views/device.eta',
  },
  'device_success.html': {
    hashes: ['123eff145693cdfe61894957ac2fe1e42752385a43c25e14a9cae3181016463b'],
    view: 'views/outcome.eta',
  },
  'error.html': {
    hashes: ['fee4ee0024b9c3bb57d0053fd023e4d5bbcc299c53fc1a44a4ed9899f4018127'],
    view: 'views/failure.eta',
  },
  'footer.html': {
    hashes: ['80cc3d3a008620bfefa33d6d1b7256628bf4f7b547eca8ed3a07d54211f1fb71'],
    view: 'views/layout.eta',
  },
  'header.html': {
    hashes: ['0ef61da89c4239d7efeef32278ff451226a48cded3ae0b43e9d2c1e24dbac007'],
    view: 'views/layout.eta',
  },
  'home.html': { hashes: ['075c6843b220737ee660fe43b76f05fcfae98384d3e35c22de80da16cf1b8aab'], view: 'views/home.eta' },
  'login.html': {
    hashes: [
      '2fbe76e866d2fc5f33a918322e6b77c935f06b6590e171410d58adb4cd1efb08',
      'e1013c4c2492eb4526c04b9d02f08cfba56da9ac5592980e03ec146d0233b286',
    ],
    view: 'views/choose.eta',
  },
  'logout.html': { hashes: ['87939cb680b883c9f23a5ddd190d8db1d957450101a70c7abb2a953c0678382a'] },
  'oob.html': { hashes: ['4c37a3db757039c90532530f4d6c73633bb604d1b292a9ac3107ac312a134f7e'], view: 'views/oob.eta' },
  'password.html': {
    hashes: [
      '788d4f43468e73963a2b3af1c5abcfc6af76cc4ce0713a8b047baf183d84fe5e',
      'e5c0ff5e5b6d19a14a281da02efbda63b005b07c9149a6bc334c1ba39c573a10',
    ],
    view: 'views/password.eta',
  },
  'totp_verify.html': {
    hashes: ['882c7aab3aee3fa666cd97a3f849a32ddcffb1259163aeffc8cf36e5dc37aafa'],
    view: 'views/totp.eta',
  },
  'webauthn_verify.html': {
    hashes: ['19f46b8a5cc6d91224546bc7776bc348389df25e1411dee2a2095c1f291641e8'],
    view: 'views/webauthn.eta',
  },
}
