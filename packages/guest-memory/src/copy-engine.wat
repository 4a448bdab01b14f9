;; The copy engine: moves and sums bytes of the host memory it imports.
;;
;; Every offset and length is an unsigned 32-bit number of bytes. The caller (wasm-copy-engine.ts) has checked them
;; against the memory's size; what slips through traps at the memory's own end.
;;
;; A sum is the ones'-complement sum of RFC 1071 over halfwords loaded little-endian, an odd last byte padded with zero.
;; Flipping the top bit of a halfword makes it a signed number that is 32768 too small, so that one multiply-add
;; (dot_i16x8_s by ones) sums two of them into a 32-bit lane; at the end 32768 are given back for each halfword, that is
;; 2^14 for each byte. All of it is arithmetic modulo 2^32, which is exact as long as the true sum of the vectors stays
;; below 2^32: a call takes at most 128 KiB, whose 65536 halfwords sum to at most 65536 * 65535.
(module
  (memory (import "host" "memory") 0 65536 shared)

  ;; Up to 64 bytes, the size of a small frame, everything is loaded before anything is stored, in pieces that may
  ;; overlap: right for overlapping ranges too, and faster than memory.copy, which calls out of the module.
  (func (export "copy") (param $to i32) (param $from i32) (param $length i32)
    (local $toLast i32) (local $fromLast i32)
    (local $v v128) (local $w v128) (local $x v128) (local $y v128) (local $p i64) (local $q i64)
    (if (i32.gt_u (local.get $length) (i32.const 64)) (then
      (memory.copy (local.get $to) (local.get $from) (local.get $length))
      (return)))
    (if (i32.ge_u (local.get $length) (i32.const 16)) (then
      (local.set $toLast (i32.sub (i32.add (local.get $to) (local.get $length)) (i32.const 16)))
      (local.set $fromLast (i32.sub (i32.add (local.get $from) (local.get $length)) (i32.const 16)))
      (local.set $v (v128.load align=1 (local.get $from)))
      (local.set $y (v128.load align=1 (local.get $fromLast)))
      (if (i32.gt_u (local.get $length) (i32.const 32)) (then
        (local.set $w (v128.load offset=16 align=1 (local.get $from)))
        (local.set $x (v128.load align=1 (i32.sub (local.get $fromLast) (i32.const 16))))
        (v128.store offset=16 align=1 (local.get $to) (local.get $w))
        (v128.store align=1 (i32.sub (local.get $toLast) (i32.const 16)) (local.get $x))))
      (v128.store align=1 (local.get $to) (local.get $v))
      (v128.store align=1 (local.get $toLast) (local.get $y))
      (return)))
    (if (i32.ge_u (local.get $length) (i32.const 8)) (then
      (local.set $p (i64.load align=1 (local.get $from)))
      (local.set $q (i64.load align=1 (i32.sub (i32.add (local.get $from) (local.get $length)) (i32.const 8))))
      (i64.store align=1 (local.get $to) (local.get $p))
      (i64.store align=1 (i32.sub (i32.add (local.get $to) (local.get $length)) (i32.const 8)) (local.get $q))
      (return)))
    (if (i32.ge_u (local.get $length) (i32.const 4)) (then
      (local.set $p (i64.load32_u align=1 (local.get $from)))
      (local.set $q (i64.load32_u align=1 (i32.sub (i32.add (local.get $from) (local.get $length)) (i32.const 4))))
      (i64.store32 align=1 (local.get $to) (local.get $p))
      (i64.store32 align=1 (i32.sub (i32.add (local.get $to) (local.get $length)) (i32.const 4)) (local.get $q))
      (return)))
    (memory.copy (local.get $to) (local.get $from) (local.get $length)))

  (func (export "fill") (param $to i32) (param $value i32) (param $length i32)
    (memory.fill (local.get $to) (local.get $value) (local.get $length)))

  ;; On the machines at hand an atomic load is a plain one that the compiler leaves where it stands.
  (func (export "countRun16") (param $at i32) (param $stride i32) (param $most i32) (param $mask i32) (param $wanted i32)
    (result i32)
    (local $count i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $count) (local.get $most)))
        (br_if $done (i32.ne
          (i32.and (i32.atomic.load16_u (local.get $at)) (local.get $mask))
          (local.get $wanted)))
        (local.set $at (i32.add (local.get $at) (local.get $stride)))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (br $next)))
    (local.get $count))

  (func (export "checksum") (param $from i32) (param $length i32) (result i32)
    (local $stop i32) (local $flip v128) (local $ones v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $total i64) (local $last i64)
    (local.set $flip (i32x4.splat (i32.const 0x80008000)))
    (local.set $ones (i32x4.splat (i32.const 0x00010001)))

    ;; 64 bytes a turn, in four sums that don't wait for each other.
    (local.set $stop (i32.add (local.get $from) (i32.and (local.get $length) (i32.const -64))))
    (block $end64
      (br_if $end64 (i32.eq (local.get $from) (local.get $stop)))
      (loop $next64
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.dot_i16x8_s (v128.xor (v128.load align=1 (local.get $from)) (local.get $flip)) (local.get $ones))))
        (local.set $b (i32x4.add (local.get $b)
          (i32x4.dot_i16x8_s (v128.xor (v128.load offset=16 align=1 (local.get $from)) (local.get $flip))
            (local.get $ones))))
        (local.set $c (i32x4.add (local.get $c)
          (i32x4.dot_i16x8_s (v128.xor (v128.load offset=32 align=1 (local.get $from)) (local.get $flip))
            (local.get $ones))))
        (local.set $d (i32x4.add (local.get $d)
          (i32x4.dot_i16x8_s (v128.xor (v128.load offset=48 align=1 (local.get $from)) (local.get $flip))
            (local.get $ones))))
        (local.set $from (i32.add (local.get $from) (i32.const 64)))
        (br_if $next64 (i32.ne (local.get $from) (local.get $stop)))))
    (local.set $a (i32x4.add (i32x4.add (local.get $a) (local.get $b)) (i32x4.add (local.get $c) (local.get $d))))

    ;; 16 bytes a turn.
    (local.set $stop (i32.add (local.get $from) (i32.and (local.get $length) (i32.const 48))))
    (block $end16
      (br_if $end16 (i32.eq (local.get $from) (local.get $stop)))
      (loop $next16
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.dot_i16x8_s (v128.xor (v128.load align=1 (local.get $from)) (local.get $flip)) (local.get $ones))))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (br_if $next16 (i32.ne (local.get $from) (local.get $stop)))))
    (local.set $a (i32x4.add (local.get $a) (i8x16.shuffle 8 9 10 11 12 13 14 15 0 0 0 0 0 0 0 0
      (local.get $a) (local.get $a))))
    (local.set $total (i64.extend_i32_u (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $a)) (i32x4.extract_lane 1 (local.get $a)))
      (i32.shl (i32.and (local.get $length) (i32.const -16)) (i32.const 14)))))

    ;; What is left: 8, 4, 2 and 1 bytes, each as its bit in the length says. Words may be added whole, because
    ;; 2^16 is 1 modulo 2^16 - 1.
    (if (i32.and (local.get $length) (i32.const 8)) (then
      (local.set $last (i64.load align=1 (local.get $from)))
      (local.set $total (i64.add (local.get $total)
        (i64.add (i64.and (local.get $last) (i64.const 0xffffffff)) (i64.shr_u (local.get $last) (i64.const 32)))))
      (local.set $from (i32.add (local.get $from) (i32.const 8)))))
    (if (i32.and (local.get $length) (i32.const 4)) (then
      (local.set $total (i64.add (local.get $total) (i64.load32_u align=1 (local.get $from))))
      (local.set $from (i32.add (local.get $from) (i32.const 4)))))
    (if (i32.and (local.get $length) (i32.const 2)) (then
      (local.set $total (i64.add (local.get $total) (i64.load16_u align=1 (local.get $from))))
      (local.set $from (i32.add (local.get $from) (i32.const 2)))))
    (if (i32.and (local.get $length) (i32.const 1)) (then
      (local.set $total (i64.add (local.get $total) (i64.load8_u (local.get $from))))))

    ;; Fold to 16 bits: the total is below 2^35, so 2^18 after the first turn, at most 2^16 after the second.
    (local.set $total (i64.add (i64.and (local.get $total) (i64.const 0xffff))
      (i64.add (i64.and (i64.shr_u (local.get $total) (i64.const 16)) (i64.const 0xffff))
        (i64.shr_u (local.get $total) (i64.const 32)))))
    (local.set $stop (i32.wrap_i64 (local.get $total)))
    (local.set $stop (i32.add (i32.and (local.get $stop) (i32.const 0xffff))
      (i32.shr_u (local.get $stop) (i32.const 16))))
    (i32.add (i32.and (local.get $stop) (i32.const 0xffff)) (i32.shr_u (local.get $stop) (i32.const 16))))

  ;; The ranges must not overlap. Each byte is loaded once: what is summed is what is stored.
  (func (export "copyChecksum") (param $to i32) (param $from i32) (param $length i32) (result i32)
    (local $stop i32) (local $flip v128) (local $ones v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $v v128) (local $w v128) (local $x v128) (local $y v128)
    (local $total i64) (local $last i64)
    (local.set $flip (i32x4.splat (i32.const 0x80008000)))
    (local.set $ones (i32x4.splat (i32.const 0x00010001)))

    ;; 64 bytes a turn, in four sums that don't wait for each other.
    (local.set $stop (i32.add (local.get $from) (i32.and (local.get $length) (i32.const -64))))
    (block $end64
      (br_if $end64 (i32.eq (local.get $from) (local.get $stop)))
      (loop $next64
        (local.set $v (v128.load align=1 (local.get $from)))
        (local.set $w (v128.load offset=16 align=1 (local.get $from)))
        (local.set $x (v128.load offset=32 align=1 (local.get $from)))
        (local.set $y (v128.load offset=48 align=1 (local.get $from)))
        (v128.store align=1 (local.get $to) (local.get $v))
        (v128.store offset=16 align=1 (local.get $to) (local.get $w))
        (v128.store offset=32 align=1 (local.get $to) (local.get $x))
        (v128.store offset=48 align=1 (local.get $to) (local.get $y))
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.dot_i16x8_s (v128.xor (local.get $v) (local.get $flip)) (local.get $ones))))
        (local.set $b (i32x4.add (local.get $b)
          (i32x4.dot_i16x8_s (v128.xor (local.get $w) (local.get $flip)) (local.get $ones))))
        (local.set $c (i32x4.add (local.get $c)
          (i32x4.dot_i16x8_s (v128.xor (local.get $x) (local.get $flip)) (local.get $ones))))
        (local.set $d (i32x4.add (local.get $d)
          (i32x4.dot_i16x8_s (v128.xor (local.get $y) (local.get $flip)) (local.get $ones))))
        (local.set $to (i32.add (local.get $to) (i32.const 64)))
        (local.set $from (i32.add (local.get $from) (i32.const 64)))
        (br_if $next64 (i32.ne (local.get $from) (local.get $stop)))))
    (local.set $a (i32x4.add (i32x4.add (local.get $a) (local.get $b)) (i32x4.add (local.get $c) (local.get $d))))

    ;; 16 bytes a turn.
    (local.set $stop (i32.add (local.get $from) (i32.and (local.get $length) (i32.const 48))))
    (block $end16
      (br_if $end16 (i32.eq (local.get $from) (local.get $stop)))
      (loop $next16
        (local.set $v (v128.load align=1 (local.get $from)))
        (v128.store align=1 (local.get $to) (local.get $v))
        (local.set $a (i32x4.add (local.get $a)
          (i32x4.dot_i16x8_s (v128.xor (local.get $v) (local.get $flip)) (local.get $ones))))
        (local.set $to (i32.add (local.get $to) (i32.const 16)))
        (local.set $from (i32.add (local.get $from) (i32.const 16)))
        (br_if $next16 (i32.ne (local.get $from) (local.get $stop)))))
    (local.set $a (i32x4.add (local.get $a) (i8x16.shuffle 8 9 10 11 12 13 14 15 0 0 0 0 0 0 0 0
      (local.get $a) (local.get $a))))
    (local.set $total (i64.extend_i32_u (i32.add
      (i32.add (i32x4.extract_lane 0 (local.get $a)) (i32x4.extract_lane 1 (local.get $a)))
      (i32.shl (i32.and (local.get $length) (i32.const -16)) (i32.const 14)))))

    ;; What is left: 8, 4, 2 and 1 bytes, each as its bit in the length says. Words may be added whole, because
    ;; 2^16 is 1 modulo 2^16 - 1.
    (if (i32.and (local.get $length) (i32.const 8)) (then
      (local.set $last (i64.load align=1 (local.get $from)))
      (i64.store align=1 (local.get $to) (local.get $last))
      (local.set $to (i32.add (local.get $to) (i32.const 8)))
      (local.set $total (i64.add (local.get $total)
        (i64.add (i64.and (local.get $last) (i64.const 0xffffffff)) (i64.shr_u (local.get $last) (i64.const 32)))))
      (local.set $from (i32.add (local.get $from) (i32.const 8)))))
    (if (i32.and (local.get $length) (i32.const 4)) (then
      (local.set $last (i64.load32_u align=1 (local.get $from)))
      (i64.store32 align=1 (local.get $to) (local.get $last))
      (local.set $to (i32.add (local.get $to) (i32.const 4)))
      (local.set $total (i64.add (local.get $total) (local.get $last)))
      (local.set $from (i32.add (local.get $from) (i32.const 4)))))
    (if (i32.and (local.get $length) (i32.const 2)) (then
      (local.set $last (i64.load16_u align=1 (local.get $from)))
      (i64.store16 align=1 (local.get $to) (local.get $last))
      (local.set $to (i32.add (local.get $to) (i32.const 2)))
      (local.set $total (i64.add (local.get $total) (local.get $last)))
      (local.set $from (i32.add (local.get $from) (i32.const 2)))))
    (if (i32.and (local.get $length) (i32.const 1)) (then
      (local.set $last (i64.load8_u (local.get $from)))
      (i64.store8 (local.get $to) (local.get $last))
      (local.set $total (i64.add (local.get $total) (local.get $last)))))

    ;; Fold to 16 bits: the total is below 2^35, so 2^18 after the first turn, at most 2^16 after the second.
    (local.set $total (i64.add (i64.and (local.get $total) (i64.const 0xffff))
      (i64.add (i64.and (i64.shr_u (local.get $total) (i64.const 16)) (i64.const 0xffff))
        (i64.shr_u (local.get $total) (i64.const 32)))))
    (local.set $stop (i32.wrap_i64 (local.get $total)))
    (local.set $stop (i32.add (i32.and (local.get $stop) (i32.const 0xffff))
      (i32.shr_u (local.get $stop) (i32.const 16))))
    (i32.add (i32.and (local.get $stop) (i32.const 0xffff)) (i32.shr_u (local.get $stop) (i32.const 16))))
)
