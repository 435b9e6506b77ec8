'use strict'
/*
 * Helpers of a cronium-run script: its input, its output, and variables shared by hosts and runs.
 *
 *   const cronium = require('cronium')     // or: import cronium from 'cronium'; or the global
 *   const name = cronium.input('.user.name', { default: 'nobody' })
 *   cronium.setVariable('greeting', 'hello ' + name)
 *   cronium.output({ visits: cronium.incr('visits') })
 *
 * Every call is answered when it returns, and throws CroniumError where it was refused. Values are
 * what JSON holds.
 */

/** A call was refused, or nobody is there to answer it: `status` is the helper API's, 503 out of reach. */
class CroniumError extends Error {
  constructor (message, status = 503) {
    super(message)
    this.name = this.constructor.name
    this.status = status
  }
}

/** There is no such value; `status` is 404. */
class MissingVariable extends CroniumError {}

/** ifVersion is not the variable's version any more; `status` is 409. */
class VersionConflict extends CroniumError {}

function input (path, options) {
  return part(ask('input'), path, options, 'the input has no such value')
}

function event (field, options) {
  return part(ask('event'), field, options, "the run's context has no such field")
}

function output (value, options) {
  ask({ output: { value: json(value), append: Boolean(named(options, 'append')) } })
}

function getVariable (key, options) {
  const scope = named(options, 'scope')
  try {
    return ask({ getVariable: { key: text(key), scope } }).value
  } catch (error) {
    if (error instanceof MissingVariable && has(options, 'default')) return options.default
    throw error
  }
}

function setVariable (key, value, options) {
  const [ifVersion, scope] = [named(options, 'ifVersion'), named(options, 'scope')]
  const variable = ask({ setVariable: { key: text(key), value: json(value), ifVersion, scope } })
  return variable ? variable.version : undefined
}

function version (key, options) {
  try {
    return ask({ getVariable: { key: text(key), scope: named(options, 'scope') } }).version
  } catch (error) {
    if (error instanceof MissingVariable) return 0
    throw error
  }
}

function incr (key, n = 1, options) {
  if (!Number.isFinite(n)) throw new TypeError('incr adds a number')
  return ask({ increment: { key: text(key), by: n, scope: named(options, 'scope') } }).value
}

function vars (pattern = '*') {
  const escaped = pattern.split('*').map(piece => piece.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  const wanted = new RegExp('^' + escaped.join('[^]*') + '$')
  const keys = new Set(ask({ variables: {} }).map(variable => variable.key))
  return [...keys].filter(key => wanted.test(key))
}

function unset (key, options) {
  ask({ unset: { key: text(key), scope: named(options, 'scope') } })
}

function condition (value) {
  if (typeof value !== 'boolean') throw new TypeError('a condition is true or false')
  ask({ condition: { condition: value } })
}

function log (level, message, context = null) {
  if (level === 'warning') level = 'warn'
  if (!['debug', 'info', 'warn', 'error'].includes(level)) {
    throw new RangeError(`'${level}' is no level: debug, info, warn, error`)
  }
  ask({ log: { level, message: String(message), context } })
}

function progress (n, step = null) {
  if (!(n >= 0 && n <= 100)) throw new RangeError(`progress is a number from 0 to 100, not ${n}`)
  ask({ progress: { percent: Number(n), step: step === null ? null : String(step) } })
}

function notify (audience, message) {
  ask({ notify: { audience: String(audience), message: String(message) } })
}

function text (key) {
  if (typeof key !== 'string') throw new TypeError('a key is a string')
  return key
}

// JSON.stringify leaves these out, and what is left out is no value to store.
function json (value) {
  if (value === undefined || typeof value === 'function' || typeof value === 'symbol') {
    throw new TypeError(`${typeof value} is no JSON value`)
  }
  if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError(`${value} is no JSON value`)
  return value
}

function has (object, name) {
  return object !== null && typeof object === 'object' && Object.prototype.hasOwnProperty.call(object, name)
}

function named (options, name) {
  if (options !== undefined && (options === null || typeof options !== 'object')) {
    throw new TypeError(`options are an object, such as { ${name}: ... }`)
  }
  return has(options, name) ? options[name] : null
}

const STEP = /\[("(?:[^"\\]|\\[^])*")\]|\[([0-9]+)\]|([^.[]+)/y

function part (value, path = '', options, missing) {
  named(options, 'default')
  let at = path.startsWith('.') ? 1 : 0
  let found = true
  while (at < path.length) {
    STEP.lastIndex = at
    const step = STEP.exec(path)
    if (step === null) throw new SyntaxError(`'${path}' is no path: see .a.b[0]`)
    const [, quoted, index, name] = step
    const member = index || (quoted ? JSON.parse(quoted) : name)
    found = found && (index ? Array.isArray(value) : !Array.isArray(value)) && has(value, member)
    value = found ? value[member] : undefined
    at = STEP.lastIndex
    if (path[at] === '.') at++
  }
  if (found) return value
  if (has(options, 'default')) return options.default
  throw new MissingVariable(missing, 404)
}

function ask (request) {
  const { line, broken } = exchange(JSON.stringify(request) + '\n')
  if (broken) throw new CroniumError('the runner does not answer: ' + broken)
  const { status, data, error } = JSON.parse(line)
  if (status >= 200 && status < 300) return data
  const Kind = { 404: MissingVariable, 409: VersionConflict }[status] || CroniumError
  throw new Kind(error || `the helper API says ${status}`, status)
}

/*
 * A worker thread speaks with the runner while this one sleeps: a call takes no process, and what
 * else the script has on its event loop does not run in the middle of it.
 */
let line = null

function exchange (request) {
  if (line === null) line = open()
  Atomics.store(line.answered, 0, 0)
  line.port.postMessage(request)
  Atomics.wait(line.answered, 0, 0)
  return line.receive(line.port).message
}

function open () {
  const path = require('path')
  const work = process.env.CRONIUM_WORK_DIR
  if (!work) throw new CroniumError('this is no cronium-run script: CRONIUM_WORK_DIR is not set')
  const { Worker, MessageChannel, receiveMessageOnPort } = require('worker_threads')
  const { port1, port2 } = new MessageChannel()
  const answered = new Int32Array(new SharedArrayBuffer(4))
  const worker = new Worker(`(${serve})()`, {
    eval: true,
    // Not the arguments that loaded this file.
    execArgv: [],
    env: {},
    workerData: { folder: path.dirname(work), answered, port: port2 },
    transferList: [port2]
  })
  // The script ends when it is done, whether or not it has called.
  worker.unref()
  port1.unref()
  return { port: port1, answered, receive: receiveMessageOnPort }
}

/* The worker's own program: only its text goes there. */
function serve () {
  const fs = require('fs')
  const net = require('net')
  const { workerData: { folder, answered, port } } = require('worker_threads')
  let socket = null
  let pieces = []
  let pending = null

  function answer (message) {
    pending = null
    pieces = []
    port.postMessage(message)
    Atomics.store(answered, 0, 1)
    Atomics.notify(answered, 0)
  }

  function connect () {
    // The kernel takes paths of 107 bytes: through a descriptor, every path is short.
    const held = fs.openSync(folder, 'r')
    const opened = net.connect(`/proc/self/fd/${held}/helper.sock`)
    let reason = 'it hung up'
    let release = () => { fs.closeSync(held); release = () => {} }
    opened.on('connect', () => release())
    opened.on('error', error => { reason = error.message })
    opened.on('data', piece => {
      pieces.push(piece)
      if (piece[piece.length - 1] === 10) answer({ line: Buffer.concat(pieces).toString() })
    })
    opened.on('close', () => {
      release()
      if (socket === opened) socket = null
      if (pending === null) return
      // The runner closes a line only between two calls: nobody has read this one.
      if (pending.again) send({ request: pending.request, again: false })
      else answer({ broken: reason })
    })
    return opened
  }

  function send (call) {
    pending = call
    try {
      if (socket === null) {
        call.again = false
        socket = connect()
      }
      socket.write(call.request)
    } catch (error) {
      answer({ broken: error.message })
    }
  }

  port.on('message', request => send({ request, again: true }))
}

module.exports = {
  input,
  output,
  event,
  getVariable,
  setVariable,
  version,
  incr,
  vars,
  unset,
  condition,
  log,
  progress,
  notify,
  get_variable: getVariable,
  set_variable: setVariable,
  CroniumError,
  MissingVariable,
  VersionConflict
}

Object.defineProperty(globalThis, 'cronium', {
  value: module.exports, writable: true, configurable: true, enumerable: false
})
