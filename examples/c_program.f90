! Runs the network that c_program.py wrote as wave.h and wave.f90.
program c_program
  use wave
  implicit none
  real(c_float) :: x(wave_inputs), y(wave_outputs), scratch(wave_scratch)
  integer :: i
  do i = 0, 3
    x(1) = real(i, c_float)
    call wave_predict(x, y, scratch)
    print '(f0.4)', y(1)
  end do
end program c_program
