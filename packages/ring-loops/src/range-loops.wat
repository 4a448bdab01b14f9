;; Copies of what lies in ranges of the memory, many at a time: a call into this module for each costs more than a short copy.
;;
;; All numbers are unsigned byte offsets and lengths. The caller has checked them against the memory's size; what slips
;; through traps at the memory's own end.
(module
  (memory (import "host" "memory") 0 65536 shared)

  ;; Range i, whose offset and length are the i-th words from $offset and $length on, without its first $skip bytes, goes
  ;; to the i-th word from $to on, up to the first range that has less than $skip bytes or $room more than that.
  (func (export "copyEach")
    (param $to i32) (param $offset i32) (param $length i32) (param $max i32) (param $skip i32) (param $room i32)
    (result i32)
    (local $count i32) (local $bytes i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $bytes (i32.sub (i32.load (local.get $length)) (local.get $skip)))
        (br_if $done (i32.gt_u (local.get $bytes) (local.get $room)))
        (memory.copy
          (i32.load (local.get $to))
          (i32.add (i32.load (local.get $offset)) (local.get $skip))
          (local.get $bytes))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))
        (local.set $offset (i32.add (local.get $offset) (i32.const 4)))
        (local.set $length (i32.add (local.get $length) (i32.const 4)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count))
)
