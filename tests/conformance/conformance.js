// What helpers do, told in node. Arguments name the sections to check. Its sisters in shell and
// python check the same; tests/conformance.rs runs all of them in every mode.
'use strict'
const assert = require('assert')
const { fork } = require('child_process')
const fs = require('fs')

const same = (what, got, want) => assert.deepStrictEqual(got, want, `FAILED: ${what}: ${short(got)} instead of ${short(want)}`)
const short = value => (JSON.stringify(value) || 'undefined').slice(0, 200)

function throws (kind, status, call) {
  try {
    call()
  } catch (error) {
    assert(error instanceof kind, `FAILED: ${call}: ${error}`)
    return same(`status of ${call}`, error.status, status)
  }
  assert.fail(`FAILED: ${call} threw nothing`)
}

const { CroniumError, MissingVariable, VersionConflict } = cronium

const checks = {
  input () {
    same('the module is the global', require('cronium'), cronium)
    same('whole input', Object.keys(cronium.input()).sort(), ['deep', 'odd.key [0]', 'values'])
    same('a place', cronium.input('.deep.list[1].name'), 'Zoë')
    same('an odd key', cronium.input('.["odd.key [0]"]'), true)
    same('null is there', cronium.input('.deep.nothing', { default: 5 }), null)
    same('default', cronium.input('.no.such', { default: 5 }), 5)
    throws(MissingVariable, 404, () => cronium.input('.no.such'))
    throws(MissingVariable, 404, () => cronium.input('.deep.list[9]'))
    throws(SyntaxError, undefined, () => cronium.input('.deep.list[0'))
  },

  values () {
    for (const [name, value] of Object.entries(cronium.input('.values'))) {
      cronium.setVariable('conf/v/' + name, value)
      same(name, cronium.getVariable('conf/v/' + name), value)
    }
    for (const value of [null, false, true, 0, 1, '', '0', [], {}, 2 ** 53, -1, 1.5, 'ü'.repeat(450000)]) {
      cronium.setVariable('conf/plain', value)
      same('plain', cronium.getVariable('conf/plain'), value)
    }
    throws(TypeError, undefined, () => cronium.setVariable('conf/plain', undefined))
    throws(TypeError, undefined, () => cronium.setVariable('conf/plain', NaN))
    const big = 'x'.repeat(900000)
    cronium.set_variable('conf/big', big)
    same('900 kB', cronium.get_variable('conf/big'), big)
  },

  keys () {
    for (const key of ['a/b', 'a?b', 'a#b', 'a%2Fb', 'two words', 'grün', '.', "it's"]) {
      cronium.setVariable('conf/k/' + key, key)
      same('key ' + key, cronium.getVariable('conf/k/' + key), key)
    }
  },

  missing () {
    throws(MissingVariable, 404, () => cronium.getVariable('conf/none'))
    same('default', cronium.getVariable('conf/none', { default: { a: 1 } }), { a: 1 })
    same('empty default', cronium.getVariable('conf/none', { default: '' }), '')
    same('the default is not stored', cronium.getVariable('conf/none', { default: null }), null)
  },

  before () {
    same('set by a run before', cronium.getVariable('locked/before'), { by: 'another run' })
  },

  versions () {
    const key = 'conf/version'
    same('none', cronium.version(key), 0)
    same('first', cronium.setVariable(key, 1, { ifVersion: 0 }), 1)
    throws(VersionConflict, 409, () => cronium.setVariable(key, 2, { ifVersion: 0 }))
    same('second', cronium.setVariable(key, 2, { ifVersion: cronium.version(key) }), 2)
    throws(VersionConflict, 409, () => cronium.setVariable(key, 3, { ifVersion: 1 }))
    same('what was refused is not there', cronium.getVariable(key), 2)
    same('version', cronium.version(key), 2)
  },

  counters () {
    same('from nothing', cronium.incr('conf/count'), 1)
    same('by 5', cronium.incr('conf/count', 5), 6)
    same('by -2.5', cronium.incr('conf/count', -2.5), 3.5)
    cronium.setVariable('conf/word', 'abc')
    throws(CroniumError, 400, () => cronium.incr('conf/word'))
  },

  unset () {
    cronium.setVariable('conf/gone', 1)
    cronium.unset('conf/gone')
    throws(MissingVariable, 404, () => cronium.getVariable('conf/gone'))
    throws(MissingVariable, 404, () => cronium.unset('conf/gone'))
  },

  vars () {
    for (const key of ['b', 'a', 'c/d']) cronium.setVariable('conf/l/' + key, 1)
    same('keys', cronium.vars('conf/l/*'), ['conf/l/a', 'conf/l/b', 'conf/l/c/d'])
    same('pattern', cronium.vars('conf/*/c/d'), ['conf/l/c/d'])
    same('none', cronium.vars('none/*'), [])
    same('not what may not be read', cronium.vars().filter(key => key.startsWith('other')), [])
  },

  scopes () {
    for (const [scope, value] of [['global', 'widest'], ['host', 'host'], ['run', 'run']]) {
      cronium.setVariable('conf/scoped', value, { scope })
    }
    same('nearest', cronium.getVariable('conf/scoped'), 'run')
    same('named', cronium.getVariable('conf/scoped', { scope: 'host' }), 'host')
    cronium.unset('conf/scoped', { scope: 'run' })
    same('next', cronium.getVariable('conf/scoped'), 'host')
    cronium.unset('conf/scoped', { scope: 'host' })
    same('widest', cronium.getVariable('conf/scoped'), 'widest')
    throws(CroniumError, 400, () => cronium.getVariable('conf/scoped', { scope: 'planet' }))
  },

  limits () {
    throws(CroniumError, 403, () => cronium.getVariable('other/secret'))
    throws(CroniumError, 403, () => cronium.getVariable('other/secret', { default: 1 }))
    throws(CroniumError, 403, () => cronium.setVariable('other/secret', 2))
    throws(CroniumError, 403, () => cronium.setVariable('locked/before', 2))
    throws(CroniumError, 403, () => cronium.incr('locked/count'))
    throws(CroniumError, 403, () => cronium.unset('locked/before'))
    throws(CroniumError, 413, () => cronium.setVariable('conf/huge', 'x'.repeat(1100000)))
  },

  event () {
    same('execution', cronium.event('executionId'), process.env.CRONIUM_EXECUTION_ID)
    same('event', cronium.event().eventId, '42')
    same('metadata', cronium.event('.metadata.ticket'), 'T-1')
    same('default', cronium.event('none', { default: 0 }), 0)
    throws(MissingVariable, 404, () => cronium.event('none'))
  },

  told () {
    cronium.log('info', 'hello', { a: [1, null] })
    cronium.log('warning', 'zwölf % done')
    cronium.progress(12.5, 'copying files')
    cronium.progress(100)
    cronium.notify('oncall', 'wake up')
    cronium.condition(false)
    cronium.condition(true)
    throws(RangeError, undefined, () => cronium.log('loud', 'hello'))
    throws(RangeError, undefined, () => cronium.progress(101))
    throws(TypeError, undefined, () => cronium.condition('maybe'))
  },

  async processes () {
    const children = []
    for (let number = 1; number <= 20; number++) {
      const child = fork(__filename, ['--one-of-many', String(number)])
      children.push(new Promise(resolve => child.on('exit', resolve)))
    }
    same('20 processes', await Promise.all(children), new Array(20).fill(0))
    same('sum', cronium.getVariable('conf/sum'), 200)
  },

  async output () {
    // A module imports what a script requires.
    fs.writeFileSync('module.mjs', "import cronium, { input } from 'cronium'\nexport default [cronium, input]\n")
    same('imported', (await import(process.cwd() + '/module.mjs')).default, [cronium, cronium.input])
    cronium.output('not the last')
    cronium.output('behind a string', { append: true })
    cronium.output(null)
    cronium.output(1, { append: true })
    cronium.output('two', { append: true })
    cronium.output({ three: [3], four: '' }, { append: true })
    cronium.output({ checked: 'all' }, { append: true })
  }
}

function oneOfMany (number) {
  cronium.setVariable('conf/own/' + number, number)
  for (let round = 0; round < 10; round++) cronium.incr('conf/sum')
  same('own', cronium.getVariable('conf/own/' + number), number)
}

async function main ([first, ...others]) {
  if (first === '--one-of-many') return oneOfMany(Number(others[0]))
  for (const section of [first, ...others]) await checks[section]()
}

main(process.argv.slice(2)).catch(error => {
  console.error(error)
  process.exit(1)
})
