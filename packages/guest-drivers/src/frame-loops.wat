;; A poll-mode driver's loops over frames: from the pool, into a list of ring elements, and back into the pool.
;;
;; Parameters named after a structure are byte offsets into the memory; all numbers are unsigned. $pool has eight words
;; per buffer, which frame-pool.ts names: DATA, LENGTH, IS_SPECIAL, DELTA_LO, ADDRESS_HI, NEXT, OFFLOAD, START.
(module
  (memory (import "host" "memory") 0 65536 shared)

  ;; Elements of frames that lie in one buffer and ask for nothing, each behind a header of zeros, up to the first other
  ;; frame. A header that is all zeros is not written: its cache line then stays with the device, which read it last and
  ;; reads it again. $frames are numbers of buffers, of which there are $buffers; $total becomes the bytes of the frames.
  (func (export "describe")
    (param $frames i32) (param $max i32) (param $pool i32) (param $buffers i32)
    (param $headerBytes i32) (param $longest i32) (param $words i32) (param $total i32)
    (result i32)
    (local $count i32) (local $buffer i32) (local $its i32) (local $at i32) (local $bytes i32) (local $header i32)
    (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $buffer (i32.load (local.get $frames)))
        (br_if $done (i32.ge_u (local.get $buffer) (local.get $buffers)))
        (local.set $its (i32.add (local.get $pool) (i32.shl (local.get $buffer) (i32.const 5))))
        (local.set $at (i32.load (local.get $its)))
        (local.set $bytes (i32.load offset=4 (local.get $its)))
        (br_if $done (i32.load offset=8 (local.get $its)))
        (br_if $done (i32.lt_u (local.get $bytes) (i32.const 14)))
        (br_if $done (i32.gt_u (local.get $bytes) (local.get $longest)))
        (br_if $done (i32.and (local.get $at) (i32.const 3)))
        (local.set $header (i32.sub (local.get $at) (local.get $headerBytes)))
        (i32.store (local.get $words) (i32.add (local.get $header) (i32.load offset=12 (local.get $its))))
        (i32.store offset=4 (local.get $words) (i32.load offset=16 (local.get $its)))
        (i32.store offset=8 (local.get $words) (i32.add (local.get $bytes) (local.get $headerBytes)))
        (i32.store offset=12 (local.get $words) (local.get $buffer))
        (block $cleared
          (loop $clear
            (br_if $cleared (i32.ge_u (local.get $header) (local.get $at)))
            (if (i32.load (local.get $header)) (then (i32.store (local.get $header) (i32.const 0))))
            (local.set $header (i32.add (local.get $header) (i32.const 4)))
            (br $clear)))
        (local.set $sum (i32.add (local.get $sum) (local.get $bytes)))
        (local.set $frames (i32.add (local.get $frames) (i32.const 4)))
        (local.set $words (i32.add (local.get $words) (i32.const 16)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $total) (local.get $sum))
    (local.get $count))

  ;; Take $count buffers off the stack of free ones, of which $top are left above: each becomes a frame without data.
  (func (export "take")
    (param $stack i32) (param $top i32) (param $count i32) (param $pool i32) (param $frames i32) (param $lengths i32)
    (local $end i32) (local $from i32) (local $buffer i32)
    (local.set $from (i32.add (local.get $stack) (i32.shl (local.get $top) (i32.const 2))))
    (local.set $end (i32.sub (local.get $from) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $from) (local.get $end)))
        (local.set $from (i32.sub (local.get $from) (i32.const 4)))
        (local.set $buffer (i32.load (local.get $from)))
        (i32.store offset=4 (i32.add (local.get $pool) (i32.shl (local.get $buffer) (i32.const 5))) (i32.const 0))
        (i32.store (local.get $frames) (local.get $buffer))
        (i32.store (local.get $lengths) (i32.const 0))
        (local.set $frames (i32.add (local.get $frames) (i32.const 4)))
        (local.set $lengths (i32.add (local.get $lengths) (i32.const 4)))
        (br $next))))

  ;; Elements of $count buffers for the device to write frames into, each with its header's bytes in front of it.
  (func (export "lend")
    (param $frames i32) (param $count i32) (param $pool i32) (param $headerBytes i32) (param $bytes i32) (param $words i32)
    (local $end i32) (local $buffer i32) (local $its i32)
    (local.set $end (i32.add (local.get $frames) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.eq (local.get $frames) (local.get $end)))
        (local.set $buffer (i32.load (local.get $frames)))
        (local.set $its (i32.add (local.get $pool) (i32.shl (local.get $buffer) (i32.const 5))))
        (i32.store (local.get $words) (i32.add
          (i32.sub (i32.load (local.get $its)) (local.get $headerBytes))
          (i32.load offset=12 (local.get $its))))
        (i32.store offset=4 (local.get $words) (i32.load offset=16 (local.get $its)))
        (i32.store offset=8 (local.get $words) (local.get $bytes))
        (i32.store offset=12 (local.get $words) (local.get $buffer))
        (local.set $frames (i32.add (local.get $frames) (i32.const 4)))
        (local.set $words (i32.add (local.get $words) (i32.const 16)))
        (br $next))))

  ;; Used buffers of one frame each become frames, up to the first whose $outcome byte is not 0 or that has less than 14
  ;; bytes behind its header. $total becomes the bytes of the frames.
  (func (export "receive")
    (param $token i32) (param $written i32) (param $outcome i32) (param $max i32)
    (param $pool i32) (param $buffers i32) (param $headerBytes i32)
    (param $frames i32) (param $lengths i32) (param $total i32)
    (result i32)
    (local $count i32) (local $buffer i32) (local $bytes i32) (local $sum i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $buffer (i32.load (local.get $token)))
        (local.set $bytes (i32.sub (i32.load (local.get $written)) (local.get $headerBytes)))
        (br_if $done (i32.ge_u (local.get $buffer) (local.get $buffers)))
        (br_if $done (i32.load8_u (local.get $outcome)))
        (br_if $done (i32.lt_s (local.get $bytes) (i32.const 14)))
        (i32.store offset=4 (i32.add (local.get $pool) (i32.shl (local.get $buffer) (i32.const 5))) (local.get $bytes))
        (i32.store (local.get $frames) (local.get $buffer))
        (i32.store (local.get $lengths) (local.get $bytes))
        (local.set $sum (i32.add (local.get $sum) (local.get $bytes)))
        (local.set $token (i32.add (local.get $token) (i32.const 4)))
        (local.set $written (i32.add (local.get $written) (i32.const 4)))
        (local.set $outcome (i32.add (local.get $outcome) (i32.const 1)))
        (local.set $frames (i32.add (local.get $frames) (i32.const 4)))
        (local.set $lengths (i32.add (local.get $lengths) (i32.const 4)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (i32.store (local.get $total) (local.get $sum))
    (local.get $count))

  ;; Put frames onto the stack of free buffers, up to the first that is special, or no buffer.
  (func (export "put")
    (param $stack i32) (param $top i32) (param $frames i32) (param $max i32) (param $pool i32) (param $buffers i32)
    (result i32)
    (local $count i32) (local $to i32) (local $buffer i32)
    (local.set $to (i32.add (local.get $stack) (i32.shl (local.get $top) (i32.const 2))))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $max)))
        (local.set $buffer (i32.load (local.get $frames)))
        (br_if $done (i32.ge_u (local.get $buffer) (local.get $buffers)))
        (br_if $done (i32.load offset=8 (i32.add (local.get $pool) (i32.shl (local.get $buffer) (i32.const 5)))))
        (i32.store (local.get $to) (local.get $buffer))
        (local.set $frames (i32.add (local.get $frames) (i32.const 4)))
        (local.set $to (i32.add (local.get $to) (i32.const 4)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count))
)
