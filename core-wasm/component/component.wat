;; The component around the engine's module. `build.py` puts that module in the place of the first one
;; here, which has the same exports and does nothing.
;;
;; The reply header of the C ABI is laid out as the component model lays out the record of
;; koru-delta.wit, and a list that is passed in is written to where `realloc` says: the request
;; buffer. So nothing is converted and nothing is copied twice.
(component
  (core module $engine
    (memory (export "memory") 1)
    (func (export "koru_abi_version") (result i32) i32.const 0)
    (func (export "koru_request") (param i32) (result i32) i32.const 0)
    (func (export "koru_call") (param i32 i32) (result i32) i32.const 0))
  (core module $adapter
    (import "engine" "koru_request" (func $request (param $length i32) (result i32)))
    (import "engine" "koru_call" (func $call (param $opcode i32) (param $length i32) (result i32)))
    (func (export "realloc")
      (param $old i32) (param $old_size i32) (param $alignment i32) (param $size i32) (result i32)
      (local $address i32)
      (local.set $address (call $request (local.get $size)))
      (if (i32.eqz (local.get $address)) (then unreachable))
      (local.get $address))
    (func (export "call") (param $opcode i32) (param $address i32) (param $length i32) (result i32)
      (call $call (local.get $opcode) (local.get $length))))
  (core instance $engine (instantiate $engine))
  (core instance $adapter (instantiate $adapter (with "engine" (instance $engine))))
  (alias core export $engine "memory" (core memory $memory))
  (alias core export $adapter "realloc" (core func $realloc))
  (type $record
    (record
      (field "status" u32) (field "flags" u32) (field "payload" (list u8)) (field "journal" (list u8))
      (field "sequence" u64)))
  (export $reply "reply" (type $record))
  (func $version (result u32) (canon lift (core func $engine "koru_abi_version")))
  (func $call (param "opcode" u32) (param "request" (list u8)) (result $reply)
    (canon lift (core func $adapter "call") (memory $memory) (realloc $realloc)))
  (export "abi-version" (func $version))
  (export "call" (func $call)))
