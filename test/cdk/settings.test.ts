import { App } from 'aws-cdk-lib';
import { describe, expect, it } from 'vitest';
import { readSettings } from '../../cdk/settings.js';

const settingsOf = (context: Record<string, unknown>) => readSettings(new App({ context }).node);

describe('the settings of a deployment', () => {
  it('all have a default, and nothing need be known of models', () => {
    const settings = settingsOf({});
    expect(settings.name).toBe('hookline');
    expect(settings.models).toEqual([]);
    expect(settings.vpc).toEqual({ natGateways: 1, zones: 2 });
  });

  it('are read from the command line, where lists and numbers come as text', () => {
    const settings = settingsOf({
      'hookline:instanceTypes': '["g5.xlarge"]',
      'hookline:spotPercentage': '70',
      'hookline:schedule': 'cron(0 2 * * ? *)',
      'hookline:imageUri': '123456789012.dkr.ecr.eu-west-1.amazonaws.com/hookline:1',
    });
    expect(settings.instanceTypes).toEqual(['g5.xlarge']);
    expect(settings.spotPercentage).toBe(70);
    expect(settings.schedule).toBe('cron(0 2 * * ? *)');
    expect(settings.imageUri).toMatch(/hookline:1$/);
  });

  it('are refused where they do not fit, naming the setting', () => {
    for (const [name, value] of [
      ['schedule', 'hourly'],
      ['name', 'Upper Case'],
      ['spotPercentage', 0],
      ['vpc', { vpcId: 'vpc-1' }],
      ['logRetentionDays', 8],
      ['alarmEmail', 'nobody'],
      ['models', [{ id: '../other' }]],
    ] as const) {
      expect(() => settingsOf({ [`hookline:${name}`]: value }), name).toThrow(name === 'models' ? /model id/ : name);
    }
  });

  it('say which names there are for one that is none', () => {
    expect(() => settingsOf({ 'hookline:schedul': 'rate(1 hour)' })).toThrow(/one of name, .*schedule.*got schedul$/);
  });
});
