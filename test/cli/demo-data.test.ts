import { expect, test } from 'vitest';
import { loadDemoData } from '../../src/cli/demo/data.ts';
import { wrap } from '../../src/cli/demo/stage.ts';

test('the tour has its countries once each, and well over 100,000 cities as typed lines', () => {
  const data = loadDemoData();
  const codes = data.countries.map((country) => country.code);
  expect(codes.length).toBeGreaterThan(240);
  expect(new Set(codes).size).toBe(codes.length);
  expect(data.countries.find((country) => country.code === 'IS')).toMatchObject({
    name: 'Iceland',
    continent: 'Europe',
    capital: expect.stringMatching(/^Reyk/),
    currency: 'ISK',
  });

  expect(data.cityCount).toBeGreaterThan(100_000);
  let lines = 0;
  for (const chunk of data.cities()) {
    // lat and lng are REAL columns: 45 has to be sent as 45.0.
    expect(chunk).not.toMatch(/"l(at|ng)":-?\d+[,}]/);
    lines += chunk.split('\n').length - 1;
  }
  expect(lines).toBe(data.cityCount);
});

test('notes are wrapped at words', () => {
  expect(wrap('one two three', 7)).toEqual(['one two', 'three']);
  expect(wrap('', 7)).toEqual([]);
});
