import { expect, test } from 'vitest';
import { isLocalAddress, isLoopbackAddress, isMetadataAddress } from './local-address.ts';

const hostnameOf = (url: string) => new URL(url).hostname;

test.each([
  'http://localhost:4566',
  'http://127.0.0.1',
  'http://127.255.255.255',
  'http://2130706433',
  'http://[::1]:80',
  'http://[::ffff:127.0.0.1]',
  'http://169.254.169.254',
  'http://169.254.170.2',
  'http://[fe80::1]',
  'http://[febf::1]',
])('%s is local, and so may serve credentials', (url) => {
  expect(isLocalAddress(hostnameOf(url))).toBe(true);
  expect(isMetadataAddress(hostnameOf(url))).toBe(true);
});

test.each(['http://[fd00:ec2::23]', 'http://[fd00:ec2::254]'])('%s serves credentials only', (url) => {
  expect(isLocalAddress(hostnameOf(url))).toBe(false);
  expect(isMetadataAddress(hostnameOf(url))).toBe(true);
});

test.each([
  'http://10.0.0.1',
  'http://128.0.0.1',
  'http://169.253.0.1',
  'http://[fd00:ec2::253]',
  'http://[fd00:ec2:1::254]',
  'http://[fec0::1]',
  'http://[2001:db8::1]',
  'http://[::ffff:10.0.0.1]',
  'http://localhost.example.com',
  'http://127.0.0.1.example.com',
  'http://sts.amazonaws.com',
])('%s is neither', (url) => {
  expect(isLocalAddress(hostnameOf(url))).toBe(false);
  expect(isMetadataAddress(hostnameOf(url))).toBe(false);
});

test.each(['127.0.0.1', '127.255.255.254', '::1', '[::1]', '::ffff:127.0.0.1'])(
  '%s is loopback',
  (address) => {
    expect(isLoopbackAddress(address)).toBe(true);
  },
);

test.each(['', 'localhost', '0.0.0.0', '::', '169.254.169.254', 'fe80::1', '128.0.0.1', '127.0.0.1.nip.io'])(
  '"%s" is not loopback',
  (address) => {
    expect(isLoopbackAddress(address)).toBe(false);
  },
);
