//! Stands in for the C unwinder, for which the release build of the stub has no use.
//!
//! A panic prints its message and its place, and aborts. The program keeps neither unwind tables
//! nor symbols, so a backtrace could show nothing. Still the standard library would bring an
//! unwinder, and a reader of debug information to print what it finds: together a quarter of the
//! program. With these functions in the unwinder's place nothing leads there, and both are left
//! out. Signatures: the Itanium C++ ABI, as the standard library declares them.

use std::ffi::{c_int, c_void};
use std::process::abort;

/// The other half: the linker drops the tables. Named here, so that cargo links anew when it changes.
const _: &str = include_str!("../discard.ld");

/// Ends every backtrace before its first frame.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Backtrace(
    _frame: extern "C" fn(*mut c_void, *mut c_void) -> c_int,
    _argument: *mut c_void,
) -> c_int {
    const END_OF_STACK: c_int = 5;
    END_OF_STACK
}

/// Named by the landing pads of the standard library, which nothing enters where panics abort.
macro_rules! never_called {
    ($($name:ident)*) => {
        $(
            #[unsafe(no_mangle)]
            extern "C" fn $name() -> ! {
                abort()
            }
        )*
    };
}

never_called! {
    _Unwind_GetDataRelBase
    _Unwind_GetIPInfo
    _Unwind_GetLanguageSpecificData
    _Unwind_GetRegionStart
    _Unwind_GetTextRelBase
    _Unwind_Resume
    _Unwind_SetGR
    _Unwind_SetIP
}
