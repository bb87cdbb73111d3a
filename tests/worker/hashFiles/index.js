// SPDX-License-Identifier: Apache-2.0
// hashFiles(): sha256 over the sha256 digests of the matched files, in the order in which a walk finds
// them. Patterns come in the variable "patterns", one a line; "!" excludes, "#" is a comment. The
// answer goes to stderr, since stdout is a trace.
'use strict'

const crypto = require('crypto')
const fs = require('fs')
const path = require('path')

const root = process.cwd()
const follow = process.env.followSymbolicLinks === 'true'

// One segment of a pattern as a regular expression: * ? [set] and \ as escape.
function segment(text) {
  let out = ''
  for (let i = 0; i < text.length; i++) {
    const c = text[i]
    const close = c === '[' ? text.indexOf(']', i + 2) : -1
    if (c === '\\' && i + 1 < text.length) {
      out += '\\' + text[++i]
    } else if (c === '*') {
      out += '[^/]*'
    } else if (c === '?') {
      out += '[^/]'
    } else if (close > 0) {
      out += '[' + text.slice(i + 1, close).replace(/^!/, '^').replace(/\\/g, '\\\\') + ']'
      i = close
    } else {
      out += c.replace(/[.+^${}()|[\]\\]/, '\\$&')
    }
  }
  return out
}

function parse(line) {
  const negate = line.startsWith('!')
  let text = (negate ? line.slice(1) : line).trim()
  if (text.split('/').some((part, i) => part === '..' || (part === '.' && i > 0))) {
    throw new Error(`Invalid pattern '${text}'. Relative pathing '.' and '..' is not allowed.`)
  }
  if (text === '~' || text.startsWith('~/')) text = path.join(process.env.HOME || '/', text.slice(1))
  if (!path.isAbsolute(text)) text = path.posix.join(root, text)
  const parts = path.posix.normalize(text).replace(/\/+$/, '').split('/').slice(1)
  const fixed = []
  while (fixed.length < parts.length && !/[*?[]/.test(parts[fixed.length])) fixed.push(parts[fixed.length])
  let expression = '^'
  for (const part of parts) expression += part === '**' ? '(?:/[^/]+)*' : '/' + segment(part)
  return {negate, matcher: new RegExp(expression + '(?:/.*)?$'), from: '/' + fixed.join('/')}
}

function entry(file) {
  try {
    return follow ? fs.statSync(file) : fs.lstatSync(file)
  } catch (error) {
    if (error.code === 'ENOENT') return null
    throw error
  }
}

// Depth first, in the order of readdir. A link to a directory that lies around it ends the way down;
// "around" holds the real paths of the directories on the way to here.
function* walk(start) {
  const stack = [{file: start, level: 0}]
  const around = []
  while (stack.length) {
    const {file, level} = stack.pop()
    const stat = entry(file)
    if (!stat) continue
    if (stat.isDirectory() && follow) {
      const real = fs.realpathSync(file)
      around.length = Math.min(around.length, level)
      if (around.includes(real)) continue
      around.push(real)
    }
    yield file
    if (!stat.isDirectory()) continue
    const below = fs.readdirSync(file).map(name => ({file: path.join(file, name), level: level + 1}))
    stack.push(...below.reverse())
  }
}

function matches(patterns, file) {
  let included = false
  for (const pattern of patterns) {
    if (pattern.matcher.test(file)) included = !pattern.negate
  }
  return included
}

function run() {
  const lines = (process.env.patterns || '').split('\n').map(line => line.trim())
  const patterns = lines.filter(line => line && !line.startsWith('#')).map(parse)
  const starts = patterns.filter(pattern => !pattern.negate).map(pattern => pattern.from)
  const top = [...new Set(starts)].filter(
    one => !starts.some(other => other !== one && one.startsWith(other === '/' ? '/' : other + '/')))
  const all = crypto.createHash('sha256')
  let count = 0
  for (const start of top) {
    for (const file of walk(start)) {
      if (!matches(patterns, file) || !file.startsWith(root + path.sep)) continue
      if (fs.statSync(file).isDirectory()) continue
      all.update(crypto.createHash('sha256').update(fs.readFileSync(file)).digest())
      count++
    }
  }
  console.log(`Found ${count} files to hash.`)
  console.error(count ? `__OUTPUT__${all.digest('hex')}__OUTPUT__` : '__OUTPUT____OUTPUT__')
}

try {
  run()
} catch (error) {
  console.error(error)
  process.exit(1)
}
